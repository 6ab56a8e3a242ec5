"""The training loop: trains a network on images in memory and yields one `EpochMetrics` per epoch.

Independent of Hydra and MLflow. The random numbers of an epoch depend only on (seed, epoch), so a run that continues
from a checkpoint gives the same numbers as an uninterrupted one.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from archsearch.config.recipe import Averaging, Optimizer, Scheduler
from archsearch.config.settings import TrainerSettings
from archsearch.data.augment.pipeline import Augmentation
from archsearch.data.batches import ImageSet
from archsearch.training.classes import accuracy_by_class, balanced_weights
from archsearch.training.cuda_graphs import GraphRecorder, cuda_recorder, fill_gradients, graphed, keep_gradients
from archsearch.training.fused.network import fused
from archsearch.training.loop import TrainingLoop, non_finite_loss, non_finite_training_loss, seed_epoch, to_device
from archsearch.training.meter import Meter
from archsearch.training.metrics import EpochMetrics, Score
from archsearch.training.optim import make_optimizer


@dataclass(frozen=True)
class EpochProgress:
    """Progress within an epoch: the score over its images so far, out of `total`; `finished` after the last one."""

    epoch: int
    epochs: int
    total: int
    score: Score
    finished: bool


Watch = Callable[[EpochProgress], None]


@dataclass(frozen=True)
class Evaluation:
    """A network's `predictions` (N,) for a set of images, in the set's order, and their probabilities (N,)."""

    score: Score
    labels: Tensor
    predictions: Tensor
    confidences: Tensor


@dataclass(frozen=True)
class Splits:
    """The images for training, for model selection (if any are held out) and for the final test."""

    train: ImageSet
    validation: ImageSet | None
    test: ImageSet


class Trainer(TrainingLoop):
    """Trains `network` on `splits` for `settings.epochs` epochs.

    With `settings.cuda_graphs`, steps on a GPU are CUDA graphs. A `recorder` replaces CUDA's.
    """

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
        augmentation: Augmentation | None = None,
        averaging: Averaging | None = None,
        recorder: GraphRecorder | None = None,
    ) -> None:
        network = to_device(network, settings, device)
        super().__init__(
            network,
            make_optimizer(optimizer, network),
            scheduler,
            settings,
            steps_per_epoch=splits.train.steps(settings.batch_size),
            device=device,
            averaging=averaging,
        )
        self.splits = splits
        self.seed = seed
        self.augmentation = augmentation
        is_balanced = settings.class_weights == "balanced"
        self._class_weights = balanced_weights(splits.train.class_sizes()).to(device) if is_balanced else None
        self._forward = self._training_forward()
        self._parameters = list(network.parameters())
        if recorder is None and settings.cuda_graphs:
            recorder = cuda_recorder(device)
        self._gradients = keep_gradients(self._parameters) if recorder is not None else None
        mutated = [*self._parameters, *network.buffers(), *(self._gradients or ())]
        self._step = graphed(self._compute, mutated, recorder)

    def run(self, watch: Watch | None = None) -> Iterator[EpochMetrics]:
        """Train the remaining epochs, yielding after each. `watch` is called with the progress.

        Raises `NonFiniteLossError`.
        """
        while self.epoch < self.settings.epochs:
            start = time.perf_counter()
            train = self._train_epoch(self.epoch + 1, watch)
            trained = time.perf_counter()
            self.epoch += 1
            validation = self.splits.validation
            yield EpochMetrics(
                epoch=self.epoch,
                train=train,
                validation=self.evaluate(validation, rounded=True).score if validation is not None else None,
                test=self.evaluate(self.splits.test).score if self.settings.test_every_epoch else None,
                lr=self.rates[0],
                seconds=trained - start,
                timestamp=time.time_ns() // 1_000_000,
                evaluation_seconds=time.perf_counter() - trained,
            )

    @torch.inference_mode()
    def evaluate(self, images: ImageSet, *, rounded: bool = False) -> Evaluation:
        """Evaluate the network on `images` in eval mode. Raises `NonFiniteLossError`.

        `rounded` logits are enough if it trains in bfloat16; the predictions are those of float32 all the same.
        """
        meter = Meter(self.device)

        def add(logits: Tensor, labels: Tensor) -> None:
            meter.add(functional.cross_entropy(logits, labels), logits, labels)

        predictions, confidences = self._predict(images.in_order(self.settings.eval_batch_size), add, rounded=rounded)
        score = meter.read()
        error = non_finite_loss(score, "evaluated", f"after epoch {self.epoch}")
        if error is not None:
            raise error
        labels = images.labels.cpu()
        score = replace(score, by_class=accuracy_by_class(labels, predictions, images.classes))
        return Evaluation(score, labels, predictions, confidences)

    def _training_forward(self) -> Callable[[Tensor], Tensor]:
        settings = self.settings
        if settings.compile:
            return torch.compile(self.network)
        if not settings.fused or not settings.channels_last:
            return self.network
        return fused(self.network, self.device, bfloat16=settings.precision == "bfloat16")

    def _train_epoch(self, epoch: int, watch: Watch | None) -> Score:
        images = self.splits.train
        order = torch.Generator().manual_seed(seed_epoch([self.seed], epoch))
        self.network.train()
        meter = Meter(self.device)
        augment = None if self.augmentation is None else self.augmentation.in_epoch(epoch)
        batches = images.shuffled(self.settings.batch_size, order, augment)
        for (loss, logits), labels, is_report_due in self._steps(batches):
            meter.add(loss, logits, labels)
            score = meter.glance() if is_report_due else None
            if score is not None:
                self._report(score, epoch, watch, finished=False)
        score = meter.read()
        self._report(score, epoch, watch, finished=True)
        return score

    def _compute(self, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Set the gradients; returns the loss () and the logits (batch, classes).

        `labels` are (batch,), or those of mixed images: shares (batch, classes).
        """
        logits = self._logits(images)
        smoothing = self.settings.label_smoothing
        loss = functional.cross_entropy(logits, labels, weight=self._class_weights, label_smoothing=smoothing)
        if self._gradients is None:
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
        else:
            fill_gradients(loss, self._parameters, self._gradients)
        return loss, logits

    def _report(self, score: Score, epoch: int, watch: Watch | None, *, finished: bool) -> None:
        error = non_finite_training_loss(score, epoch)
        if error is not None:
            raise error
        if watch is not None:
            watch(EpochProgress(epoch, self.settings.epochs, len(self.splits.train), score, finished))
