"""Sums of losses and hits that stay on the device while it computes."""

import torch
from torch import Tensor

from archsearch.training.metrics import Score


class Meter:
    """Counts what batches give. Adding a batch never waits for the device; only `read` does."""

    def __init__(self, device: torch.device) -> None:
        # mps has no float64; the sum of some hundred losses a read is exact enough in float32 there.
        kind = torch.float32 if device.type == "mps" else torch.float64
        self._loss = torch.zeros((), dtype=kind, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self._total = 0
        self._coming: tuple[Tensor, int, torch.Event] | None = None

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: its mean `loss` (), its `logits` (batch, classes) and `labels` (batch,)."""
        self._loss += loss.detach() * len(labels)
        self._correct += (logits.detach().argmax(dim=1) == labels).sum()
        self._total += len(labels)

    def read(self) -> Score:
        """The score of all batches so far."""
        return Score(float(self._loss) / self._total, int(self._correct), self._total)

    def glance(self) -> Score | None:
        """The score as it was at the last glance, if the device has come that far; on the CPU, as it is now.

        So nothing waits for a GPU's queue: what it has summed up to here is copied when its turn comes.
        """
        if self._loss.device.type != "cuda":
            return self.read()
        score = None
        if self._coming is not None:
            values, total, copied = self._coming
            if not copied.query():
                return None
            loss, correct = values.tolist()
            score = Score(loss / total, int(correct), total)
        # A float64 counts exactly up to 2**53 hits.
        values = torch.stack([self._loss, self._correct.double()]).to("cpu", non_blocking=True)
        copied = torch.Event("cuda")
        copied.record()
        self._coming = values, self._total, copied
        return score
