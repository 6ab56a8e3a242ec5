"""Sums of losses and hits."""

import torch

from archsearch.training.meter import Meter


def test_a_mixed_image_counts_as_that_of_its_larger_part() -> None:
    meter = Meter(torch.device("cpu"))
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0], [0.0, 0.0, 1.0]])
    meter.add(torch.tensor(0.5), logits, torch.tensor([[0.6, 0.4, 0.0], [0.7, 0.3, 0.0], [0.0, 0.1, 0.9]]))
    meter.add(torch.tensor(1.0), logits, torch.tensor([1, 1, 1]))
    score = meter.read()
    assert (score.loss, score.correct, score.total) == (0.75, 3, 6)
