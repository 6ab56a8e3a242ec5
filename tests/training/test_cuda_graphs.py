"""Recorded steps. A fake records where there is no GPU."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archsearch.training.cuda_graphs import (
    GraphedStep,
    Outputs,
    cuda_recorder,
    fill_gradients,
    graphed,
    keep_gradients,
)
from tests.support.graph_recorder import FakeGraphRecorder

CPU = torch.device("cpu")
SIZES = (8, 8, 3, 8, 3)  # short batches in between and at the end


class ExampleStep:
    """A step with everything that recording could disturb: weights, statistics, gradients, a sum, and dropout."""

    def __init__(self, device: torch.device = CPU) -> None:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten())
        self.network = network.to(device)
        self.parameters = list(self.network.parameters())
        self.gradients = keep_gradients(self.parameters)
        self.sum = torch.zeros((), device=device)
        self.optimizer = torch.optim.SGD(self.parameters, lr=0.1, momentum=0.9)
        self.mutated = [*self.parameters, *self.network.buffers(), *self.gradients, self.sum]

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


def train(example: ExampleStep, step: Callable[..., Outputs], device: torch.device = CPU) -> list[float]:
    """The losses of steps on batches of `SIZES`."""
    torch.manual_seed(2)
    losses = []
    for images, labels in batches(*SIZES):
        loss, _ = step(images.to(device), labels.to(device))
        losses.append(loss.item())
        example.optimizer.step()
    return losses


def test_recorded_steps_compute_the_same_losses_and_state() -> None:
    plain, recorded = ExampleStep(), ExampleStep()
    expected = train(plain, plain)
    assert train(recorded, GraphedStep(recorded, recorded.mutated, FakeGraphRecorder())) == expected
    torch.testing.assert_close(recorded.mutated, plain.mutated, rtol=0, atol=0)


def test_only_batches_of_the_recorded_shape_are_replayed() -> None:
    example, recorder = ExampleStep(), FakeGraphRecorder()
    train(example, GraphedStep(example, example.mutated, recorder))
    assert recorder.calls == ["warm up", "record"] + ["replay"] * SIZES.count(8)


def test_outputs_carry_no_graph_of_gradients() -> None:
    example = ExampleStep()
    outputs = GraphedStep(example, example.mutated, FakeGraphRecorder())(*batches(8)[0])
    assert not any(output.requires_grad for output in outputs)


class WithoutReplay(FakeGraphRecorder):
    """A recorder whose replays compute nothing, so that only recording can leave traces."""

    def record(self, function: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
        return super().record(function)[0], lambda: None


def test_recording_restores_tensors_and_random_generators() -> None:
    example = ExampleStep()
    before = [value.detach().clone() for value in example.mutated]
    state = torch.get_rng_state()
    GraphedStep(example, example.mutated, WithoutReplay())(*batches(8)[0])
    torch.testing.assert_close([value.detach() for value in example.mutated], before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)


def test_inputs_are_copied() -> None:
    value = torch.ones(2)
    step = GraphedStep(lambda value: (value * 2,), [], FakeGraphRecorder())
    step(value)
    value.zero_()
    step(torch.tensor([3.0, 4.0]))
    assert value.tolist() == [0, 0]


def test_outputs_stay_in_the_same_tensors() -> None:
    step = GraphedStep(lambda value: (value * 2,), [], FakeGraphRecorder())
    (first,) = step(torch.ones(2))
    (second,) = step(torch.tensor([3.0, 4.0]))
    assert second is first
    assert first.tolist() == [6, 8]


def test_without_a_recorder_a_step_stays_itself() -> None:
    example = ExampleStep()
    assert graphed(example, example.mutated, None) is example


def test_the_cpu_has_no_recorder() -> None:
    assert cuda_recorder(CPU) is None


def test_gradients_equal_those_of_backward_and_replace_earlier_ones() -> None:
    layer = nn.Linear(3, 2)

    def loss() -> Tensor:
        outputs: Tensor = layer(torch.ones(1, 3))
        return outputs.square().sum()

    loss().backward()  # type: ignore[no-untyped-call]
    expected = [parameter.grad for parameter in layer.parameters()]
    gradients = keep_gradients(layer.parameters())
    for _ in range(2):
        fill_gradients(loss(), list(layer.parameters()), gradients)
    torch.testing.assert_close(gradients, expected)


def test_kept_gradients_are_those_of_the_parameters() -> None:
    layer = nn.Linear(3, 2)
    gradients = keep_gradients(layer.parameters())
    fill_gradients(layer(torch.ones(1, 3)).sum(), list(layer.parameters()), gradients)
    assert all(parameter.grad is kept for parameter, kept in zip(layer.parameters(), gradients, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_on_a_gpu_recorded_steps_compute_the_same_losses_and_state() -> None:
    device = torch.device("cuda")
    plain, recorded = ExampleStep(device), ExampleStep(device)
    expected = train(plain, plain, device)
    step = graphed(recorded, recorded.mutated, cuda_recorder(device))
    assert train(recorded, step, device) == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(recorded.mutated, plain.mutated, rtol=1e-3, atol=1e-4)
