"""Losses and hits per member, from logits (K, batch, classes) and labels (K, batch)."""

import torch
from torch import Tensor
from torch.nn import functional

from archsearch.training.meter import loss_sum_dtype
from archsearch.training.metrics import Score


def member_losses(
    logits: Tensor, labels: Tensor, smoothing: Tensor | None = None, class_weights: Tensor | None = None
) -> Tensor:
    """The mean cross-entropy of each member (K,), as in torch.

    `smoothing` (K,) is label smoothing per member, `class_weights` (classes,) are those of the images' classes.
    """
    losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
    if class_weights is not None:
        weights = class_weights[labels]
        losses = losses * weights / weights.mean(dim=1, keepdim=True)
    losses = losses.mean(dim=1)
    if smoothing is None:
        return losses
    if class_weights is None:
        uniform = -logits.log_softmax(dim=2).mean(dim=(1, 2))
    else:
        uniform = -(logits.log_softmax(dim=2) * class_weights).mean(dim=2).sum(dim=1) / weights.sum(dim=1)
    return (1 - smoothing) * losses + smoothing * uniform


class MemberMeter:
    """Sums losses and hits of K members on the device, in tensors that stay in place."""

    def __init__(self, members: int, device: torch.device) -> None:
        self._losses = torch.zeros(members, dtype=loss_sum_dtype(device), device=device)
        self._correct = torch.zeros(members, dtype=torch.int64, device=device)

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors that `add` changes in place."""
        return [self._losses, self._correct]

    def reset(self) -> None:
        """Set all sums to zero."""
        for value in self.tensors:
            value.zero_()

    def add(self, losses: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: the members' mean losses (K,), its logits and its labels."""
        self._losses += losses.detach() * labels.shape[1]
        self._correct += (logits.detach().argmax(dim=2) == labels).sum(dim=1)

    def read(self, total: int) -> list[Score]:
        """Each member's score over the `total` images added so far. Waits for the device."""
        losses, correct = self._losses.tolist(), self._correct.tolist()
        return [Score(loss / total, hits, total) for loss, hits in zip(losses, correct, strict=True)]
