"""A recorded step computes what the step would have computed; a stand-in records where there is no GPU."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archsearch.training.cuda_graphs import GraphedStep, Outputs, fill_gradients, graphed, keep_gradients
from tests.support.graph_recorder import Pretender

CPU = torch.device("cpu")


class Small:
    """A step with everything that recording could disturb: weights, statistics, gradients, a sum, and dropout."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten())
        self.parameters = list(self.network.parameters())
        self.gradients = keep_gradients(self.parameters)
        self.sum = torch.zeros(())
        self.optimizer = torch.optim.SGD(self.parameters, lr=0.1, momentum=0.9)
        self.changes = [*self.parameters, *self.network.buffers(), *self.gradients, self.sum]

    def __call__(self, images: Tensor, labels: Tensor) -> Outputs:
        logits = self.network(images)
        loss = functional.cross_entropy(logits, labels)
        fill_gradients(loss, self.parameters, self.gradients)
        self.sum += loss.detach()
        return loss, logits


def batches(*sizes: int) -> list[tuple[Tensor, Tensor]]:
    random = torch.Generator().manual_seed(1)
    return [
        (torch.rand(size, 1, 5, 5, generator=random), torch.randint(36, (size,), generator=random)) for size in sizes
    ]


def train(small: Small, step: Callable[..., Outputs], *sizes: int) -> list[float]:
    torch.manual_seed(2)
    losses = []
    for images, labels in batches(*sizes):
        loss, logits = step(images, labels)
        assert not loss.requires_grad or step is small
        assert logits.shape == (len(labels), 36)
        losses.append(loss.item())
        small.optimizer.step()
    return losses


def test_recording_changes_nothing_that_is_computed() -> None:
    """Weights, statistics, sums and random numbers, with a short batch in between and at the end."""
    plain, recorded, recorder = Small(), Small(), Pretender()
    expected = train(plain, plain, 8, 8, 3, 8, 3)
    found = train(recorded, GraphedStep(recorded, recorded.changes, recorder), 8, 8, 3, 8, 3)
    assert found == expected
    assert recorder.calls == ["warm up", "record", "replay", "replay", "replay"]
    for mine, theirs in zip(recorded.changes, plain.changes, strict=True):
        assert torch.equal(mine, theirs)


def test_warming_up_and_recording_leave_no_trace() -> None:
    class Still(Pretender):
        def record(self, run: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
            return super().record(run)[0], lambda: None  # a replay that computes nothing

    small = Small()
    before = [value.detach().clone() for value in small.changes]
    random = torch.get_rng_state()
    GraphedStep(small, small.changes, Still())(*batches(8)[0])
    assert all(torch.equal(value, old) for value, old in zip(small.changes, before, strict=True))
    assert torch.equal(torch.get_rng_state(), random)


def test_inputs_are_copied_and_outputs_stay_where_they_are() -> None:
    step = GraphedStep(lambda value: (value * 2,), [], Pretender())
    value = torch.ones(2)
    (first,) = step(value)
    assert first.tolist() == [2, 2]
    value.zero_()
    (second,) = step(torch.tensor([3.0, 4.0]))
    assert second is first and first.tolist() == [6, 8] and value.tolist() == [0, 0]


def test_without_a_gpu_a_step_is_itself() -> None:
    small = Small()
    assert graphed(small, small.changes, CPU) is small
    assert graphed(small, small.changes, torch.device("cuda"), wanted=False) is small


def test_gradients_are_those_of_backward_in_tensors_that_stay() -> None:
    layer = nn.Linear(3, 2)
    layer(torch.ones(1, 3)).square().sum().backward()
    expected = [parameter.grad.clone() for parameter in layer.parameters() if parameter.grad is not None]
    kept = keep_gradients(layer.parameters())
    for _ in range(2):  # they are replaced, not added to
        fill_gradients(layer(torch.ones(1, 3)).square().sum(), list(layer.parameters()), kept)
    for parameter, gradient, value in zip(layer.parameters(), kept, expected, strict=True):
        assert parameter.grad is gradient
        torch.testing.assert_close(gradient, value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_on_a_gpu_the_recorded_step_computes_the_same() -> None:
    device = torch.device("cuda")

    def run(wanted: bool) -> tuple[list[float], list[Tensor]]:
        small = Small()
        small.network.to(device)
        small.gradients = keep_gradients(small.parameters)
        small.sum = small.sum.to(device)
        changes = [*small.parameters, *small.network.buffers(), *small.gradients, small.sum]
        step = graphed(small, changes, device, wanted=wanted)
        losses = train(small, lambda images, labels: step(images.to(device), labels.to(device)), 8, 8, 3, 8, 3)
        return losses, [value.detach().cpu() for value in changes]

    (expected, plain), (found, recorded) = run(False), run(True)
    assert found == pytest.approx(expected, rel=1e-4)
    for mine, theirs in zip(recorded, plain, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)
