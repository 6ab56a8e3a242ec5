"""Metrics of training and evaluation as plain values, without torch."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Score:
    """Loss and accuracy over a set of images; `loss` is the mean cross-entropy per image.

    `by_class` is the accuracy on each class in percent, None for classes without images; unknown while training.
    """

    loss: float
    correct: int
    total: int
    by_class: tuple[float | None, ...] | None = None

    @property
    def accuracy(self) -> float:
        """In percent."""
        return 100 * self.correct / self.total

    @property
    def balanced_accuracy(self) -> float | None:
        """The mean of the accuracies on each class, in percent, so that rare classes count as much as others."""
        known = [accuracy for accuracy in self.by_class or () if accuracy is not None]
        return sum(known) / len(known) if known else None

    def __str__(self) -> str:
        return f"Average loss: {self.loss:.4f}, Accuracy: {self.correct}/{self.total} ({self.accuracy:.2f}%)"


@dataclass(frozen=True)
class EpochMetrics:
    """One epoch. `train` is measured during training, with dropout and augmentation; `epoch` counts from 1."""

    epoch: int
    train: Score
    validation: Score | None
    test: Score | None
    lr: float  # in the epoch's last step
    seconds: float  # of training, without evaluation
    timestamp: int  # of the epoch's end, in milliseconds since 1970, as MLflow expects
    evaluation_seconds: float = 0.0

    @property
    def selection(self) -> Score | None:
        """The score used to compare epochs: validation, else test (the reference's protocol), else None."""
        return self.validation or self.test

    @property
    def images_per_second(self) -> float:
        """Training images per second."""
        return self.train.total / self.seconds

    def as_dict(self) -> dict[str, Any]:
        """Plain values; `from_dict` restores the metrics from them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "EpochMetrics":
        """Restore metrics from the values of `as_dict`."""
        scores = {
            name: Score(**values[name]) if values[name] is not None else None
            for name in ("train", "validation", "test")
        }
        return cls(**{**values, **scores})

    def numbers(self) -> dict[str, float]:
        """Accuracies in percent, losses and the learning rate, under their MLflow names.

        The most interesting come first, because pages that compare runs show the first.
        """
        scores = {"val": self.validation, "test": self.test, "train": self.train}
        measured = {name: score for name, score in scores.items() if score is not None}
        values = {}
        for name, score in measured.items():
            values[f"{name}/accuracy"], values[f"{name}/loss"] = score.accuracy, score.loss
        for name, score in measured.items():
            if score.balanced_accuracy is not None:
                values[f"{name}/balanced_accuracy"] = score.balanced_accuracy
        return {**values, "lr": self.lr}


def best_epoch(history: list[EpochMetrics]) -> EpochMetrics | None:
    """The epoch with the highest selection accuracy, the earliest if tied; None if no epoch has a selection score."""
    scored = [metrics for metrics in history if metrics.selection is not None]
    return max(scored, key=lambda m: m.selection.accuracy if m.selection else 0.0) if scored else None
