"""The loop: trains a network on images in memory and yields one `EpochMetrics` an epoch.

Knows neither Hydra nor MLflow. What an epoch draws at random depends on (seed, epoch) alone, so that a run continued
from a checkpoint gives the same numbers as one that was never interrupted.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from archsearch.config.recipe import Averaging, Optimizer, Scheduler
from archsearch.config.settings import TrainerSettings
from archsearch.data.batches import ImageSet, Transform
from archsearch.errors import NonFiniteLossError
from archsearch.training.averaging import make_average
from archsearch.training.cuda_graphs import can_record, fill_gradients, graphed, keep_gradients
from archsearch.training.folding import folded
from archsearch.training.fused.network import fused
from archsearch.training.meter import Meter
from archsearch.training.metrics import EpochMetrics, Score
from archsearch.training.optim import make_optimizer, make_scheduler

_WATCH_SECONDS = 0.2  # between two looks at the running loss


@dataclass(frozen=True)
class EpochProgress:
    """Where an epoch stands: the score over the images so far, of `total`; `finished` after the last."""

    epoch: int
    epochs: int
    total: int
    score: Score
    finished: bool


Watch = Callable[[EpochProgress], None]


@dataclass(frozen=True)
class Evaluation:
    """A network's answers on a set of images, in its order: `predictions` (N,) and their probabilities (N,)."""

    score: Score
    labels: Tensor
    predictions: Tensor
    confidences: Tensor


@dataclass(frozen=True)
class Splits:
    """What is trained on, what is selected on (if anything), and what is tested on."""

    train: ImageSet
    validation: ImageSet | None
    test: ImageSet


def seed_epoch(seed: int, epoch: int) -> int:
    """Seed torch's generators of every device with a number derived from both; returns that number."""
    derived = int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)
    torch.manual_seed(derived)
    return derived


class Trainer:
    """Trains `network` on `splits` for `settings.epochs` epochs."""

    def __init__(
        self,
        network: nn.Module,
        splits: Splits,
        settings: TrainerSettings,
        optimizer: Optimizer,
        scheduler: Scheduler,
        *,
        seed: int,
        device: torch.device,
        augment: Transform | None = None,
        averaging: Averaging | None = None,
    ) -> None:
        layout = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.network = network.to(device=device, memory_format=layout)  # type: ignore[call-overload]
        self.splits = splits
        self.settings = settings
        self.seed = seed
        self.device = device
        self.augment = augment
        self.epoch = 0  # epochs trained so far
        self.optimizer = make_optimizer(optimizer, self.network)
        self.scheduler = make_scheduler(
            scheduler,
            self.optimizer,
            epochs=settings.epochs,
            steps_per_epoch=splits.train.steps(settings.batch_size),
        )
        self._average = make_average(averaging, self.network)
        self._forward: Callable[[Tensor], Tensor] = self._for_training()
        self._parameters = list(self.network.parameters())
        wanted = settings.cuda_graphs and can_record(device)
        self._gradients = keep_gradients(self._parameters) if wanted else None
        changed = [*self._parameters, *self.network.buffers(), *(self._gradients or ())]
        self._step = graphed(self._compute, changed, device, wanted=wanted)

    @property
    def trained(self) -> nn.Module:
        """The network to be used: with averaged weights, where they are averaged."""
        return self.network if self._average is None else self._average.network

    def run(self, watch: Watch | None = None) -> Iterator[EpochMetrics]:
        """Train the epochs that are left, yielding after each. Raises `NonFiniteLossError`."""
        while self.epoch < self.settings.epochs:
            train, seconds, lr = self._train_epoch(self.epoch + 1, watch)
            self.epoch += 1
            began = time.perf_counter()
            validation = self.splits.validation
            yield EpochMetrics(
                epoch=self.epoch,
                train=train,
                validation=self.evaluate(validation).score if validation is not None else None,
                test=self.evaluate(self.splits.test).score if self.settings.test_every_epoch else None,
                lr=lr,
                seconds=seconds,
                timestamp=time.time_ns() // 1_000_000,
                evaluation_seconds=time.perf_counter() - began,
            )

    @torch.inference_mode()
    def evaluate(self, images: ImageSet) -> Evaluation:
        """Run the network over `images` as it would be used: no dropout, running statistics."""
        network = self.trained.eval()
        compiled = self.settings.compile and self._average is None
        forward = self._forward if compiled else folded(network)
        meter = Meter(self.device)
        predictions, confidences = [], []
        for batch, labels in images.in_order(self.settings.eval_batch_size):
            with self._autocast():
                logits = forward(batch)
            logits = logits.float()
            meter.add(functional.cross_entropy(logits, labels), logits, labels)
            confidence, prediction = logits.softmax(dim=1).max(dim=1)
            predictions.append(prediction)
            confidences.append(confidence)
        score = meter.read()
        if not math.isfinite(score.loss):
            raise NonFiniteLossError(
                f"the evaluated loss became {score.loss} after epoch {self.epoch}; lower optimizer.lr,"
                " or look for a setting that lets values explode"
            )
        return Evaluation(score, images.labels.cpu(), torch.cat(predictions).cpu(), torch.cat(confidences).cpu())

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on."""
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self.epoch = state["epoch"]

    def _for_training(self) -> Callable[[Tensor], Tensor]:
        settings = self.settings
        if settings.compile:
            return torch.compile(self.network)
        plain = not settings.fused or settings.precision != "float32" or not settings.channels_last
        return self.network if plain else fused(self.network, self.device)

    def _train_epoch(self, epoch: int, watch: Watch | None) -> tuple[Score, float, float]:
        images, settings = self.splits.train, self.settings
        order = torch.Generator().manual_seed(seed_epoch(self.seed, epoch))
        self.network.train()
        meter = Meter(self.device)
        start = looked = time.perf_counter()
        lr = 0.0
        for batch, labels in images.shuffled(settings.batch_size, order, self.augment):
            loss, logits = self._step(batch, labels)
            self.optimizer.step()
            if self._average is not None:
                self._average.step()
            lr = self.optimizer.param_groups[0]["lr"]
            self.scheduler.step()
            meter.add(loss, logits, labels)
            if time.perf_counter() - looked >= _WATCH_SECONDS:
                so_far = meter.glance()
                if so_far is not None:
                    self._look(so_far, epoch, watch, finished=False)
                looked = time.perf_counter()
        score = meter.read()
        self._look(score, epoch, watch, finished=True)
        return score, time.perf_counter() - start, lr

    def _compute(self, batch: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Set the gradients; the loss () and the logits (batch, classes)."""
        with self._autocast():
            logits = self._forward(batch)
        logits = logits.float()
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.settings.label_smoothing)
        if self._gradients is None:
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
        else:
            fill_gradients(loss, self._parameters, self._gradients)
        return loss, logits

    def _look(self, score: Score, epoch: int, watch: Watch | None, *, finished: bool) -> None:
        if not math.isfinite(score.loss):
            raise NonFiniteLossError(
                f"the training loss became {score.loss} in epoch {epoch}, within its first {score.total:,} images;"
                " lower optimizer.lr, or look for a setting that lets values explode"
            )
        if watch is not None:
            watch(EpochProgress(epoch, self.settings.epochs, len(self.splits.train), score, finished))

    def _autocast(self) -> Any:
        if self.settings.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)
