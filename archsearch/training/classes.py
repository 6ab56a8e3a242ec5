"""Classes of unequal size: the accuracy on each, and weights that let all of them count as much."""

from collections.abc import Sequence

import torch
from torch import Tensor


def accuracy_by_class(labels: Tensor, predictions: Tensor, classes: int) -> tuple[float | None, ...]:
    """The accuracy in percent on each class, from labels (N,) and predictions (N,); None for classes without images."""
    sizes = torch.bincount(labels, minlength=classes).tolist()
    hits = torch.bincount(labels[predictions == labels], minlength=classes).tolist()
    return tuple(100 * hit / size if size else None for hit, size in zip(hits, sizes, strict=True))


def balanced_weights(sizes: Sequence[int]) -> Tensor:
    """A weight for each class (classes,), inversely proportional to its size: 1 if all have the same.

    They are those of scikit-learn's `class_weight="balanced"`. Classes without images get 0.
    """
    present = sum(size > 0 for size in sizes)
    return torch.tensor([sum(sizes) / (present * size) if size else 0.0 for size in sizes])
