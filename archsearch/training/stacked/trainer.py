"""The training loop for a stack: like `archsearch.training.trainer`, for K members at once.

Each member starts with the same weights and sees the images in the same order as when trained alone. Dropout and
augmentation draw from one random stream for all members. If a member's loss becomes NaN or infinite, only that member
fails: no member's channels depend on another's.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from archsearch.config.recipe import Averaging, Optimizer, Scheduler
from archsearch.config.settings import TrainerSettings
from archsearch.data.augment.pipeline import Augmentation
from archsearch.data.batches import ImageSet
from archsearch.errors import NonFiniteLossError
from archsearch.model.plan import Plan
from archsearch.training.classes import accuracy_by_class, balanced_weights
from archsearch.training.cuda_graphs import GraphRecorder, cuda_recorder, fill_gradients, graphed, keep_gradients
from archsearch.training.loop import TrainingLoop, non_finite_loss, non_finite_training_loss, seed_epoch, to_device
from archsearch.training.metrics import EpochMetrics, Score
from archsearch.training.stacked.network import Stack
from archsearch.training.stacked.optimizers import make_stacked_optimizer
from archsearch.training.stacked.scores import MemberMeter, member_losses
from archsearch.training.trainer import EpochProgress, Evaluation, Splits


@dataclass(frozen=True)
class Member:
    """What belongs to one member: its initialised network, its optimizer settings, its seed, its label smoothing."""

    network: nn.Sequential
    optimizer: Optimizer
    seed: int
    label_smoothing: float = 0.0


MemberMetrics: TypeAlias = EpochMetrics | NonFiniteLossError
MemberEvaluation: TypeAlias = Evaluation | NonFiniteLossError
StackWatch: TypeAlias = Callable[[list[EpochProgress | NonFiniteLossError]], None]


class StackedTrainer(TrainingLoop):
    """Trains `members`, of which one has `plan`, as one network on `splits` for `settings.epochs` epochs.

    The networks may differ only in weights and dropout, and the optimizers must be of one type; see
    `rules.why_not_stackable`. Raises `ValueError` otherwise. `settings.label_smoothing` is ignored, as each member has
    its own. On a GPU steps are CUDA graphs unless `graphs` is False. A `recorder` replaces CUDA's.
    """

    network: Stack

    def __init__(
        self,
        members: Sequence[Member],
        plan: Plan,
        splits: Splits,
        settings: TrainerSettings,
        scheduler: Scheduler,
        *,
        device: torch.device,
        augmentation: Augmentation | None = None,
        averaging: Averaging | None = None,
        graphs: bool = True,
        recorder: GraphRecorder | None = None,
    ) -> None:
        stack = to_device(Stack([member.network for member in members], plan), settings, device)
        self._parameters = list(stack.parameters())
        self._gradients = keep_gradients(self._parameters)
        self.optimizers = [member.optimizer for member in members]
        optimizer, self.places = make_stacked_optimizer(self.optimizers, stack)
        super().__init__(
            stack,
            optimizer,
            scheduler,
            settings,
            steps_per_epoch=splits.train.steps(settings.batch_size),
            device=device,
            averaging=averaging,
        )
        self.splits = splits
        self.seeds = [member.seed for member in members]
        self.augmentation = augmentation
        self.failures: dict[int, NonFiniteLossError] = {}  # by the member's number, from 0
        self._forward = torch.compile(stack) if settings.compile else stack
        smoothing = [member.label_smoothing for member in members]
        self._smoothing = torch.tensor(smoothing, device=device) if any(smoothing) else None
        is_balanced = settings.class_weights == "balanced"
        self._class_weights = balanced_weights(splits.train.class_sizes()).to(device) if is_balanced else None
        self._meter = MemberMeter(len(members), device)
        if recorder is None and graphs:
            recorder = cuda_recorder(device)
        mutated = [*self._parameters, *stack.buffers(), *self._gradients, *self._meter.tensors]
        self._step = graphed(self._compute, mutated, recorder)

    @property
    def trained(self) -> Stack:
        """The stack to use after training: with averaged weights if `averaging` is set."""
        network = super().trained
        assert isinstance(network, Stack)
        return network

    def member(self, number: int) -> nn.Sequential:
        """The trained network of member `number`, counted from 0; a copy."""
        return self.trained.member(number)

    def run(self, watch: StackWatch | None = None) -> Iterator[list[MemberMetrics]]:
        """Train the remaining epochs, yielding after each: the metrics of every member, or its failure.

        `watch` is called with the progress. Training ends early if every member has failed. `seconds` and
        `evaluation_seconds` are the member's share of the stack's time, so that sums over members and images per second
        are comparable with those of single runs.
        """
        count = len(self.seeds)
        while self.epoch < self.settings.epochs and len(self.failures) < count:
            start = time.perf_counter()
            train = self._train_epoch(self.epoch + 1, watch)
            trained = time.perf_counter()
            self.epoch += 1
            validation = self._scores(self.splits.validation)
            test = self._scores(self.splits.test if self.settings.test_every_epoch else None)
            evaluation_seconds = time.perf_counter() - trained
            timestamp = time.time_ns() // 1_000_000
            yield [
                self.failures.get(number)
                or EpochMetrics(
                    epoch=self.epoch,
                    train=train[number],
                    validation=validation[number],
                    test=test[number],
                    lr=self.rates[self.places[number].group],
                    seconds=(trained - start) / count,
                    timestamp=timestamp,
                    evaluation_seconds=evaluation_seconds / count,
                )
                for number in range(count)
            ]

    @torch.inference_mode()
    def evaluate(self, images: ImageSet) -> list[MemberEvaluation]:
        """Evaluate every member on `images` in eval mode: its evaluation, or its failure."""
        count = len(self.seeds)
        meter = MemberMeter(count, self.device)

        def add(logits: Tensor, labels: Tensor) -> None:
            meter.add(member_losses(logits, labels), logits, labels)

        # At most as many images in memory as in training, or as one member would use alone.
        size = max(min(self.settings.batch_size, self.settings.eval_batch_size), self.settings.eval_batch_size // count)
        batches = ((batch.repeat(1, count, 1, 1), labels.expand(count, -1)) for batch, labels in images.in_order(size))
        predictions, confidences = self._predict(batches, add)
        labels = images.labels.cpu()
        scores = [
            replace(score, by_class=accuracy_by_class(labels, predictions[number], images.classes))
            for number, score in enumerate(meter.read(len(images)))
        ]
        return [
            self.failures.get(number)
            or non_finite_loss(score, "evaluated", f"after epoch {self.epoch}")
            or Evaluation(score, labels, predictions[number], confidences[number])
            for number, score in enumerate(scores)
        ]

    def state_dict(self) -> dict[str, Any]:
        """The state that the stack's next epoch depends on."""
        failures = {number: str(error) for number, error in self.failures.items()}
        return {**super().state_dict(), "failures": failures}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state returned by `state_dict` of a stack of the same members."""
        super().load_state_dict(state)
        self.failures = {number: NonFiniteLossError(reason) for number, reason in state["failures"].items()}

    def _train_epoch(self, epoch: int, watch: StackWatch | None) -> list[Score]:
        orders = self._seed(epoch)
        self.network.train()
        self._meter.reset()
        total = 0
        augment = None if self.augmentation is None else self.augmentation.in_epoch(epoch)
        batches = self.splits.train.shuffled_side_by_side(self.settings.batch_size, orders, augment)
        for _, labels, is_report_due in self._steps(batches):
            total += labels.shape[1]
            if watch is not None and is_report_due:
                self._report(total, epoch, watch, finished=False)
        return self._report(total, epoch, watch, finished=True)

    def _compute(self, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Set the gradients and add the scores; returns losses (K,) and logits (K, batch, classes)."""
        logits = self._logits(images)
        losses = member_losses(logits, labels, self._smoothing, self._class_weights)
        fill_gradients(losses.sum(), self._parameters, self._gradients)
        self._meter.add(losses, logits, labels)
        return losses.detach(), logits.detach()

    def _seed(self, epoch: int) -> list[torch.Generator]:
        """Seed torch from all seeds; returns a generator per member for the image order of its single run."""
        orders = [torch.Generator().manual_seed(seed_epoch([seed], epoch)) for seed in self.seeds]
        seed_epoch(self.seeds, epoch)
        return orders

    def _report(self, total: int, epoch: int, watch: StackWatch | None, *, finished: bool) -> list[Score]:
        scores = self._meter.read(total)
        for number, score in enumerate(scores):
            error = non_finite_training_loss(score, epoch)
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
        """Each member's score on `images`, if there are any. A member without a finite loss is marked as failed."""
        if images is None:
            return [None] * len(self.seeds)
        scores: list[Score | None] = []
        for number, outcome in enumerate(self.evaluate(images)):
            if isinstance(outcome, NonFiniteLossError):
                self.failures.setdefault(number, outcome)
                scores.append(None)
            else:
                scores.append(outcome.score)
        return scores
