"""From candidates and their data to a stack that can be trained."""

from collections.abc import Sequence

import torch

from archsearch.data.augment import make_augment
from archsearch.data.load import Dataset
from archsearch.training.setup import make_network, make_splits
from archsearch.training.stacked.rules import Candidate, why_not_stackable
from archsearch.training.stacked.trainer import Member, StackedTrainer


def make_stacked_trainer(
    candidates: Sequence[Candidate], data: Dataset, device: torch.device, *, graphs: bool = True
) -> StackedTrainer:
    """The networks of `candidates`, each with the weights that its seed gives, as one; on the same images.

    Raises `ValueError` where `why_not_stackable` has a reason, so ask it before.
    """
    reason = why_not_stackable(candidates)
    if reason is not None:
        raise ValueError(reason)
    common = candidates[0].settings
    splits = make_splits(common, data, device)
    members = [
        Member(
            make_network(candidate.settings, candidate.plan, splits.train),
            candidate.settings.optimizer,
            candidate.settings.seed,
            candidate.settings.trainer.label_smoothing,
        )
        for candidate in candidates
    ]
    return StackedTrainer(
        members,
        splits,
        common.trainer,
        common.scheduler,
        device=device,
        augment=make_augment(common.augment),
        averaging=common.averaging,
        graphs=graphs,
    )
