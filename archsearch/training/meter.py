"""Sums losses and hits on the device, without making it wait."""

import torch
from torch import Tensor

from archsearch.training.metrics import Score


class Meter:
    """Accumulates the scores of batches. `add` never waits for the device; only `read` does."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), dtype=loss_sum_dtype(device), device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._total = 0
        self._pending: tuple[Tensor, int, torch.Event] | None = None

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: its mean `loss` (), its `logits` (batch, classes) and `labels` (batch,).

        The label of a mixed image, with shares (batch, classes), is that of its larger part.
        """
        if labels.ndim == 2:
            labels = labels.argmax(dim=1)
        self._loss += loss.detach() * len(labels)
        self._correct += (logits.detach().argmax(dim=1) == labels).sum()
        self._total += len(labels)

    def read(self) -> Score:
        """The score of all batches so far."""
        return Score(float(self._loss) / self._total, int(self._correct), self._total)

    def glance(self) -> Score | None:
        """The score at the previous glance, or None if the GPU has not reached it yet; on the CPU, the current score.

        Nothing waits for the GPU's queue: a glance queues a copy of the sums, which the next glance reads.
        """
        if self._loss.device.type != "cuda":
            return self.read()
        score = None
        if self._pending is not None:
            values, total, copied = self._pending
            if not copied.query():
                return None
            loss, correct = values.tolist()
            score = Score(loss / total, int(correct), total)
        # float64 counts exactly up to 2**53 hits.
        values = torch.stack([self._loss, self._correct.double()]).to("cpu", non_blocking=True)
        copied = torch.Event("cuda")
        copied.record()
        self._pending = values, self._total, copied
        return score


def loss_sum_dtype(device: torch.device) -> torch.dtype:
    """float64, except on mps, which lacks it; float32 is exact enough there for some hundred losses per read."""
    return torch.float32 if device.type == "mps" else torch.float64
