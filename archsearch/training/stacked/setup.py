"""Makes a stacked trainer from candidates and their data."""

from collections.abc import Sequence

import torch

from archsearch.data.augment.pipeline import make_augmentation
from archsearch.data.load import Dataset
from archsearch.training.cuda_graphs import GraphRecorder
from archsearch.training.setup import make_network, make_splits
from archsearch.training.stacked.rules import Candidate, why_not_stackable
from archsearch.training.stacked.trainer import Member, StackedTrainer


def make_stacked_trainer(
    candidates: Sequence[Candidate],
    data: Dataset,
    device: torch.device,
    *,
    graphs: bool = True,
    recorder: GraphRecorder | None = None,
) -> StackedTrainer:
    """A trainer of the networks of `candidates`, each initialised from its own seed, on the same images of `data`.

    Raises `ValueError` with the reason of `why_not_stackable`, if there is one.
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
        candidates[0].plan,
        splits,
        common.trainer,
        common.scheduler,
        device=device,
        augmentation=make_augmentation(common.augment, splits.train, *(member.seed for member in members)),
        averaging=common.averaging,
        graphs=graphs,
        recorder=recorder,
    )
