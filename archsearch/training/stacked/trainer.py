"""The loop for a stack: as `archsearch.training.trainer`, for K members at once.

Each member begins with its own weights and sees its images in its own order, both as it would alone; what is drawn for
dropout and augmentation comes from one stream for all. A member whose loss is no number any more is reported as such;
the others do not notice, since no channel of theirs sees one of its own.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from archsearch.config.recipe import Averaging, Optimizer, Scheduler
from archsearch.config.settings import TrainerSettings
from archsearch.data.batches import ImageSet, Transform
from archsearch.errors import NonFiniteLossError
from archsearch.training.averaging import make_average
from archsearch.training.cuda_graphs import fill_gradients, graphed, keep_gradients
from archsearch.training.folding import folded
from archsearch.training.metrics import EpochMetrics, Score
from archsearch.training.optim import make_scheduler
from archsearch.training.stacked.network import Stack
from archsearch.training.stacked.optimizers import make_stacked_optimizer
from archsearch.training.stacked.scores import MemberMeter, member_losses
from archsearch.training.trainer import EpochProgress, Evaluation, Splits, seed_epoch

_WATCH_SECONDS = 0.2  # between two looks at the running losses; each waits for a GPU's queue


@dataclass(frozen=True)
class Member:
    """What is a member's own: its network, with the weights to begin with, its optimizer, its seed, its smoothing."""

    network: nn.Sequential
    optimizer: Optimizer
    seed: int
    label_smoothing: float = 0.0


MemberMetrics: TypeAlias = EpochMetrics | NonFiniteLossError
MemberEvaluation: TypeAlias = Evaluation | NonFiniteLossError
StackWatch: TypeAlias = Callable[[list[EpochProgress | NonFiniteLossError]], None]


class StackedTrainer:
    """Trains `members` as one network on `splits` for `settings.epochs` epochs.

    The members' networks must be alike but for weights and dropout, their optimizers of one type, all else the same:
    `rules.why_not_stackable` says whether they are. Raises `ValueError` where they are not. `settings.label_smoothing`
    is not looked at, each member has its own. On a GPU a step is a CUDA graph unless `graphs` is False.
    """

    def __init__(
        self,
        members: Sequence[Member],
        splits: Splits,
        settings: TrainerSettings,
        scheduler: Scheduler,
        *,
        device: torch.device,
        augment: Transform | None = None,
        averaging: Averaging | None = None,
        graphs: bool = True,
    ) -> None:
        layout = torch.channels_last if settings.channels_last else torch.contiguous_format
        stack = Stack([member.network for member in members])
        self.network: Stack = stack.to(device=device, memory_format=layout)  # type: ignore[call-overload]
        self.splits = splits
        self.settings = settings
        self.seeds = [member.seed for member in members]
        self.device = device
        self.augment = augment
        self.epoch = 0  # epochs trained so far
        self.failures: dict[int, NonFiniteLossError] = {}  # by the member's number, from 0
        self._parameters = list(self.network.parameters())
        self._gradients = keep_gradients(self._parameters)
        self.optimizers = [member.optimizer for member in members]
        self.optimizer, self.places = make_stacked_optimizer(self.optimizers, self.network)
        self.scheduler = make_scheduler(
            scheduler,
            self.optimizer,
            epochs=settings.epochs,
            steps_per_epoch=splits.train.steps(settings.batch_size),
        )
        self.average = make_average(averaging, self.network)
        self._forward: Callable[[Tensor], Tensor] = torch.compile(self.network) if settings.compile else self.network
        smoothing = [member.label_smoothing for member in members]
        self._smoothing = torch.tensor(smoothing, device=device) if any(smoothing) else None
        self._meter = MemberMeter(len(members), device)
        changed = [*self._parameters, *self.network.buffers(), *self._gradients, *self._meter.tensors]
        self._step = graphed(self._compute, changed, device, wanted=graphs)

    @property
    def trained(self) -> Stack:
        """The networks to be used, as one: with averaged weights, where they are averaged."""
        if self.average is None:
            return self.network
        assert isinstance(self.average.network, Stack)
        return self.average.network

    def member(self, number: int) -> nn.Sequential:
        """The network of member `number`, counted from 0, as after a run of its own; a copy."""
        return self.trained.member(number)

    def run(self, watch: StackWatch | None = None) -> Iterator[list[MemberMetrics]]:
        """Train the epochs that are left, yielding after each: for every member its metrics, or why it failed.

        Ends early where every member has failed. `seconds` and `evaluation_seconds` are a member's share of the
        stack's, so that sums over members, and each one's images a second, mean what they mean elsewhere.
        """
        count = len(self.seeds)
        while self.epoch < self.settings.epochs and len(self.failures) < count:
            train, seconds, rates = self._train_epoch(self.epoch + 1, watch)
            self.epoch += 1
            began = time.perf_counter()
            validation = self._scores(self.splits.validation)
            test = self._scores(self.splits.test if self.settings.test_every_epoch else None)
            evaluation_seconds = time.perf_counter() - began
            now = time.time_ns() // 1_000_000
            yield [
                self.failures.get(number)
                or EpochMetrics(
                    epoch=self.epoch,
                    train=train[number],
                    validation=validation[number],
                    test=test[number],
                    lr=rates[number],
                    seconds=seconds / count,
                    timestamp=now,
                    evaluation_seconds=evaluation_seconds / count,
                )
                for number in range(count)
            ]

    @torch.inference_mode()
    def evaluate(self, images: ImageSet) -> list[MemberEvaluation]:
        """Run every member over `images` as it would be used: no dropout, running statistics."""
        count = len(self.seeds)
        network = self.trained.eval()
        compiled = self.settings.compile and self.average is None
        forward = self._forward if compiled else folded(network)
        meter = MemberMeter(count, self.device)
        predictions, confidences = [], []
        # So large that no more is held than in training, or than one member would need alone.
        size = max(min(self.settings.batch_size, self.settings.eval_batch_size), self.settings.eval_batch_size // count)
        for batch, labels in images.in_order(size):
            with self._autocast():
                logits = forward(batch.repeat(1, count, 1, 1))
            logits, same = logits.float(), labels.expand(count, -1)
            meter.add(member_losses(logits, same), logits, same)
            confidence, prediction = logits.softmax(dim=2).max(dim=2)
            predictions.append(prediction)
            confidences.append(confidence)
        answers, sure = torch.cat(predictions, dim=1).cpu(), torch.cat(confidences, dim=1).cpu()
        truth = images.labels.cpu()
        return [
            self.failures.get(number)
            or self._failure(score, f"the evaluated loss became {score.loss} after epoch {self.epoch}")
            or Evaluation(score, truth, answers[number], sure[number])
            for number, score in enumerate(meter.read(len(images)))
        ]

    def state_dict(self) -> dict[str, Any]:
        """Everything that the stack's next epoch depends on."""
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "failures": {number: str(error) for number, error in self.failures.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` of a stack of the same members gave."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.failures = {number: NonFiniteLossError(reason) for number, reason in state["failures"].items()}
        self.epoch = state["epoch"]

    def _train_epoch(self, epoch: int, watch: StackWatch | None) -> tuple[list[Score], float, list[float]]:
        images, orders = self.splits.train, self._seed(epoch)
        self.network.train()
        self._meter.reset()
        start = looked = time.perf_counter()
        rates: list[float] = []
        total = 0
        for batch, labels in images.shuffled_side_by_side(self.settings.batch_size, orders, self.augment):
            self._step(batch, labels)
            self.optimizer.step()
            if self.average is not None:
                self.average.step()
            rates = [self.optimizer.param_groups[place.group]["lr"] for place in self.places]
            self.scheduler.step()
            total += labels.shape[1]
            if watch is not None and time.perf_counter() - looked >= _WATCH_SECONDS:
                self._look(total, epoch, watch, finished=False)
                looked = time.perf_counter()
        scores = self._look(total, epoch, watch, finished=True)
        return scores, time.perf_counter() - start, rates

    def _compute(self, batch: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """All of a step that a GPU can repeat by itself: losses (K,) and logits (K, batch, classes)."""
        with self._autocast():
            logits = self._forward(batch)
        logits = logits.float()
        losses = member_losses(logits, labels, self._smoothing)
        fill_gradients(losses.sum(), self._parameters, self._gradients)
        self._meter.add(losses, logits, labels)
        return losses.detach(), logits.detach()

    def _seed(self, epoch: int) -> list[torch.Generator]:
        """The generators of each member's order, as its own run would have them; torch's own one, from all seeds."""
        orders = [torch.Generator().manual_seed(seed_epoch(seed, epoch)) for seed in self.seeds]
        # For one member this is what `seed_epoch` has just done.
        sequence = np.random.SeedSequence([*self.seeds, epoch])
        torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))
        return orders

    def _look(self, total: int, epoch: int, watch: StackWatch | None, *, finished: bool) -> list[Score]:
        scores = self._meter.read(total)
        for number, score in enumerate(scores):
            what = f"the training loss became {score.loss} in epoch {epoch}, within its first {total:,} images"
            error = self._failure(score, what)
            if error is not None:
                self.failures.setdefault(number, error)
        if watch is not None:
            epochs, images = self.settings.epochs, len(self.splits.train)
            watch(
                [
                    self.failures.get(number) or EpochProgress(epoch, epochs, images, score, finished)
                    for number, score in enumerate(scores)
                ]
            )
        return scores

    def _scores(self, images: ImageSet | None) -> list[Score | None]:
        """Each member's score on `images`, if there are any; one that has none any more has failed."""
        if images is None:
            return [None] * len(self.seeds)
        scores: list[Score | None] = []
        for number, found in enumerate(self.evaluate(images)):
            if isinstance(found, NonFiniteLossError):
                self.failures.setdefault(number, found)
                scores.append(None)
            else:
                scores.append(found.score)
        return scores

    @staticmethod
    def _failure(score: Score, what: str) -> NonFiniteLossError | None:
        if math.isfinite(score.loss):
            return None
        return NonFiniteLossError(f"{what}; lower optimizer.lr, or look for a setting that lets values explode")

    def _autocast(self) -> Any:
        if self.settings.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)
