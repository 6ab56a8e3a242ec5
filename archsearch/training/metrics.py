"""What training and evaluation measure, as plain values. No torch."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Score:
    """Loss and accuracy over a set of images; `loss` is the mean cross-entropy of an image."""

    loss: float
    correct: int
    total: int

    @property
    def accuracy(self) -> float:
        """In percent."""
        return 100 * self.correct / self.total

    def __str__(self) -> str:
        return f"Average loss: {self.loss:.4f}, Accuracy: {self.correct}/{self.total} ({self.accuracy:.2f}%)"


@dataclass(frozen=True)
class EpochMetrics:
    """One epoch. `train` is measured while training (dropout and augmentation on); `epoch` counts from 1."""

    epoch: int
    train: Score
    validation: Score | None
    test: Score | None
    lr: float  # of the epoch's last step
    seconds: float  # of training, without evaluation
    timestamp: int  # of the epoch's end, in milliseconds since 1970, as MLflow wants it
    evaluation_seconds: float = 0.0

    @property
    def selection(self) -> Score | None:
        """The score that epochs are compared on: validation, else (the reference's protocol) test, else none."""
        return self.validation or self.test

    @property
    def images_per_second(self) -> float:
        """Training images a second."""
        return self.train.total / self.seconds

    def as_dict(self) -> dict[str, Any]:
        """Plain values, from which `from_dict` makes the same metrics."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "EpochMetrics":
        scores = {
            name: Score(**values[name]) if values[name] is not None else None
            for name in ("train", "validation", "test")
        }
        return cls(**{**values, **scores})

    def numbers(self) -> dict[str, float]:
        """By the names that MLflow shows: accuracies in percent, losses, and the rate.

        In the order of their interest: pages that compare runs begin with the first.
        """
        found = {}
        for name, score in (("val", self.validation), ("test", self.test), ("train", self.train)):
            if score is not None:
                found[f"{name}/accuracy"], found[f"{name}/loss"] = score.accuracy, score.loss
        return {**found, "lr": self.lr}


def best_epoch(history: list[EpochMetrics]) -> EpochMetrics | None:
    """The epoch with the highest selection accuracy, the earlier of equals; None where nothing was selected on."""
    scored = [metrics for metrics in history if metrics.selection is not None]
    return max(scored, key=lambda m: m.selection.accuracy if m.selection else 0.0) if scored else None
