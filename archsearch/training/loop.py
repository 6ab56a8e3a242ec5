"""What the training loops of one network and of a stack share: steps, predictions and state."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn, optim

from archsearch.config.recipe import Averaging, Scheduler
from archsearch.config.settings import TrainerSettings
from archsearch.errors import NonFiniteLossError
from archsearch.training.averaging import make_average
from archsearch.training.bfloat16_inference import in_bfloat16
from archsearch.training.cuda_graphs import Outputs
from archsearch.training.folding import folded
from archsearch.training.metrics import Score
from archsearch.training.optim import make_scheduler

Batches = Iterable[tuple[Tensor, Tensor]]
N = TypeVar("N", bound=nn.Module)

_PROGRESS_SECONDS = 0.2  # between two progress reports; each may wait for a GPU's queue


class TrainingLoop:
    """Trains `network` batch by batch. A subclass sets `_forward` and `_step`, and keeps the scores.

    `_forward` maps images to logits during training. `_step` maps images and labels to outputs, and sets gradients.
    """

    _forward: Callable[[Tensor], Tensor]
    _step: Callable[[Tensor, Tensor], Outputs]

    def __init__(
        self,
        network: nn.Module,
        optimizer: optim.Optimizer,
        scheduler: Scheduler,
        settings: TrainerSettings,
        *,
        steps_per_epoch: int,
        device: torch.device,
        averaging: Averaging | None,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.scheduler = make_scheduler(scheduler, optimizer, epochs=settings.epochs, steps_per_epoch=steps_per_epoch)
        self.average = make_average(averaging, network)
        self.settings = settings
        self.device = device
        self.epoch = 0  # epochs trained so far
        self.rates: list[float] = []  # of each parameter group in the last step

    @property
    def trained(self) -> nn.Module:
        """The network to use after training: with averaged weights if `averaging` is set."""
        return self.network if self.average is None else self.average.network

    def state_dict(self) -> dict[str, Any]:
        """The state that the next epoch depends on."""
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state returned by `state_dict`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.epoch = state["epoch"]

    def _steps(self, batches: Batches) -> Iterator[tuple[Outputs, Tensor, bool]]:
        """Train on `batches`; yields each step's outputs, its labels, and whether a progress report is due."""
        reported = time.perf_counter()
        for images, labels in batches:
            outputs = self._step(images, labels)
            self.optimizer.step()
            if self.average is not None:
                self.average.step()
            self.rates = [group["lr"] for group in self.optimizer.param_groups]
            self.scheduler.step()
            is_due = time.perf_counter() - reported >= _PROGRESS_SECONDS
            yield outputs, labels, is_due
            if is_due:
                reported = time.perf_counter()

    def _predict(
        self, batches: Batches, add: Callable[[Tensor, Tensor], None], *, rounded: bool = False
    ) -> tuple[Tensor, Tensor]:
        """The predictions and their probabilities (..., N) on the CPU; `add` gets each batch's logits and labels.

        In float32, so that the numbers are those of the network that is saved. `rounded` logits are enough on the CPU
        if it trains in bfloat16: the predictions are those of float32.
        """
        forward = self._inference(rounded)
        predictions, confidences = [], []
        for images, labels in batches:
            logits = forward(images).to(torch.get_default_dtype())
            add(logits, labels)
            confidence, prediction = logits.softmax(dim=-1).max(dim=-1)
            predictions.append(prediction)
            confidences.append(confidence)
        return torch.cat(predictions, dim=-1).cpu(), torch.cat(confidences, dim=-1).cpu()

    def _inference(self, rounded: bool) -> Callable[[Tensor], Tensor]:
        network = self.trained.eval()
        if self.settings.compile and self.average is None:
            return self._forward
        if rounded and self.settings.precision == "bfloat16" and self.device.type == "cpu":
            return in_bfloat16(folded(network))
        return folded(network)

    def _logits(self, images: Tensor) -> Tensor:
        """The outputs of a training step in torch's default dtype, computed in `trainer.precision`."""
        with self._autocast():
            logits = self._forward(images)
        return logits.to(torch.get_default_dtype())

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.settings.precision == "float32":
            return nullcontext()
        # Without a cache of converted weights: inside somebody else's autocast, it would outlive the step.
        return torch.autocast(self.device.type, dtype=torch.bfloat16, cache_enabled=False)


def to_device(network: N, settings: TrainerSettings, device: torch.device) -> N:
    """Move `network` to `device`, in the memory layout that `settings` ask for."""
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    return network.to(device=device, memory_format=layout)  # type: ignore[call-overload, no-any-return]


def seed_epoch(seeds: Sequence[int], epoch: int) -> int:
    """Seed torch's generators on every device with a number derived from `seeds` and `epoch`; returns the number."""
    derived = int(np.random.SeedSequence([*seeds, epoch]).generate_state(1, np.uint64)[0] >> 1)
    torch.manual_seed(derived)
    return derived


def non_finite_loss(score: Score, phase: str, moment: str) -> NonFiniteLossError | None:
    """The error for a `score` whose loss is NaN or infinite; None if it is finite."""
    if math.isfinite(score.loss):
        return None
    return NonFiniteLossError(
        f"the {phase} loss became {score.loss} {moment}; lower optimizer.lr, or look for a setting that makes values"
        " explode"
    )


def non_finite_training_loss(score: Score, epoch: int) -> NonFiniteLossError | None:
    """`non_finite_loss` of the running training score in `epoch`."""
    return non_finite_loss(score, "training", f"in epoch {epoch}, within its first {score.total:,} images")
