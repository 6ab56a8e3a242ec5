"""Each member's loss, hits and answers, from logits (K, batch, classes) and labels (K, batch)."""

import torch
from torch import Tensor
from torch.nn import functional

from archsearch.training.metrics import Score


def member_losses(logits: Tensor, labels: Tensor, smoothing: Tensor | None = None) -> Tensor:
    """The mean cross-entropy of each member (K,), with each one's own label smoothing (K,) as torch has it."""
    losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    losses = losses.view_as(labels).mean(dim=1)
    if smoothing is None:
        return losses
    even = -logits.log_softmax(dim=2).mean(dim=(1, 2))
    return (1 - smoothing) * losses + smoothing * even


class MemberMeter:
    """Sums losses and hits of K members on the device, in tensors that stay where they are."""

    def __init__(self, members: int, device: torch.device) -> None:
        # mps has no float64; the sum of some hundred losses a read is exact enough in float32 there.
        kind = torch.float32 if device.type == "mps" else torch.float64
        self._losses = torch.zeros(members, dtype=kind, device=device)
        self._correct = torch.zeros(members, dtype=torch.int64, device=device)

    @property
    def tensors(self) -> list[Tensor]:
        """What `add` changes in place."""
        return [self._losses, self._correct]

    def reset(self) -> None:
        """Begin again with nothing."""
        for value in self.tensors:
            value.zero_()

    def add(self, losses: Tensor, logits: Tensor, labels: Tensor) -> None:
        """A batch's mean losses (K,), its logits and its labels."""
        self._losses += losses.detach() * labels.shape[1]
        self._correct += (logits.detach().argmax(dim=2) == labels).sum(dim=1)

    def read(self, total: int) -> list[Score]:
        """Each member's score over the `total` images that were added. Waits for the device."""
        losses, correct = self._losses.tolist(), self._correct.tolist()
        return [Score(loss / total, hits, total) for loss, hits in zip(losses, correct, strict=True)]
