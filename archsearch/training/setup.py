"""Makes a trainer from settings, a plan and a data set."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from archsearch.config.settings import Settings
from archsearch.data.augment.pipeline import make_augmentation
from archsearch.data.batches import ImageSet
from archsearch.data.formats import Bytes
from archsearch.data.load import Dataset, Labels, holdout
from archsearch.errors import OutOfMemoryError
from archsearch.model.builder import build_plan
from archsearch.model.plan import Plan
from archsearch.training.cuda_graphs import GraphRecorder
from archsearch.training.init import IMAGES, initialise
from archsearch.training.trainer import Splits, Trainer

_NO_MEMORY = re.compile("(can't|cannot) allocate memory|not enough memory|out of memory|create a memory")


def make_trainer(
    settings: Settings,
    plan: Plan,
    data: Dataset,
    device: torch.device,
    *,
    network: nn.Module | None = None,
    recorder: GraphRecorder | None = None,
) -> Trainer:
    """A trainer on the splits of `data`, for `network`, or else for that of `plan`, initialised from the seed."""
    splits = make_splits(settings, data, device)
    return Trainer(
        make_network(settings, plan, splits.train) if network is None else network,
        splits,
        settings.trainer,
        settings.optimizer,
        settings.scheduler,
        seed=settings.seed,
        device=device,
        augmentation=make_augmentation(settings.augment, splits.train, settings.seed),
        averaging=settings.averaging,
        recorder=recorder,
    )


def make_splits(settings: Settings, data: Dataset, device: torch.device) -> Splits:
    """The images of `data` on `device`, split as `settings` ask for."""
    info = data.info

    def image_set(images: Bytes, labels: Labels) -> ImageSet:
        return ImageSet.of(info, images, labels, device, settings.trainer.channels_last)

    kept, held_out = holdout(info, data.train_labels, settings.data)
    images = image_set(data.train_images, data.train_labels)
    return Splits(
        train=images.only(kept),
        validation=images.only(held_out) if len(held_out) else None,
        test=image_set(data.test_images, data.test_labels),
    )


def make_network(settings: Settings, plan: Plan, images: ImageSet) -> nn.Sequential:
    """The network of `plan` on the CPU, initialised for training on `images`."""
    torch.manual_seed(settings.seed)  # the plain seed, so that a hand-written loop starts with the same weights
    network = build_plan(plan)
    initialise(network, settings.init, next(images.in_order(IMAGES))[0])
    return network


@contextmanager
def memory_explained() -> Iterator[None]:
    """Convert every form of memory exhaustion into an `OutOfMemoryError`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and not _NO_MEMORY.search(str(error)):
            raise
        advice = "lower trainer.batch_size, trainer.eval_batch_size or model.width"
        raise OutOfMemoryError(f"out of memory: the network and its batch do not fit; {advice}") from error
