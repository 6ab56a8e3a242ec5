"""A training step as one CUDA graph: its hundred kernels are launched by one call, not one by one from Python.

What a small network's step takes on a GPU is mostly the time to launch it. Forward, loss, backward and the sums of
losses are recorded once and replayed; the optimizer stays outside, with its few fused kernels, because schedules change
rates *and momentum* from step to step: torch's optimizers take a rate that is a tensor, but a momentum is written into
the recording as the number that it was. As docs.pytorch.org/docs/stable/notes/cuda.html ("Whole-network capture").
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

Outputs = tuple[Tensor, ...]
Step = Callable[..., Outputs]

_WARM_UPS = 3  # as torch's documentation has it: algorithms are chosen and workspaces allocated in these


class GraphRecorder(Protocol):
    """What records kernels: CUDA, or a stand-in."""

    def warm_up(self, run: Callable[[], object]) -> None:
        """Call `run` a few times, so that what happens in the first calls only is over."""

    def record(self, run: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
        """Record `run`; returns its outputs, and what computes them anew, in place, whenever it is called."""


class CudaGraphRecorder:
    """Records what runs on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def warm_up(self, run: Callable[[], object]) -> None:
        """Call `run` on a side stream, as must be before a recording."""
        with torch.cuda.device(self.device):
            side, main = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
            side.wait_stream(main)
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):
                    run()
            main.wait_stream(side)

    def record(self, run: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
        """Nothing is computed while recording; the outputs have no values until the first replay."""
        with torch.cuda.device(self.device):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                outputs = run()
        return outputs, graph.replay


class GraphedStep:
    """`step`, recorded in its first call and replayed whenever the inputs have the shapes of that call.

    Inputs of other shapes (the last, short batch) run as they would without this. `changes` are all tensors that a step
    changes in place: weights, statistics, gradients, sums. Recording leaves them and the random generators as they
    were, so a recorded run computes what it would have computed otherwise. Each replay draws new random numbers.

    A step must not wait for the device, decide anything by a tensor's value, or draw from Python's, NumPy's or the
    CPU's generators: a replay repeats kernels, not Python. Outputs are overwritten by the next call.
    """

    def __init__(self, step: Step, changes: Iterable[Tensor], recorder: GraphRecorder) -> None:
        self._step, self._changes, self._recorder = step, tuple(changes), recorder
        self._inputs: Outputs = ()
        self._outputs: Outputs = ()
        self._replay: Callable[[], None] | None = None

    def __call__(self, *inputs: Tensor) -> Outputs:
        if self._replay is None:
            self._record(inputs)
        assert self._replay is not None
        if [value.shape for value in inputs] != [buffer.shape for buffer in self._inputs]:
            return self._run(*inputs)
        for buffer, value in zip(self._inputs, inputs, strict=True):
            buffer.copy_(value)
        self._replay()
        return self._outputs

    def _record(self, inputs: Sequence[Tensor]) -> None:
        self._inputs = tuple(value.clone() for value in inputs)
        before = [value.detach().clone() for value in self._changes]
        on_cpu = torch.get_rng_state()
        devices = {value.device for value in (*inputs, *self._changes) if value.is_cuda}
        on_gpu = [(device, torch.cuda.get_rng_state(device)) for device in devices]
        self._recorder.warm_up(self._once)
        self._outputs, self._replay = self._recorder.record(self._once)
        with torch.no_grad():
            for value, old in zip(self._changes, before, strict=True):
                value.copy_(old)
        torch.set_rng_state(on_cpu)
        for device, state in on_gpu:
            torch.cuda.set_rng_state(state, device)

    def _once(self) -> Outputs:
        return self._run(*self._inputs)

    def _run(self, *inputs: Tensor) -> Outputs:
        return tuple(output.detach() for output in self._step(*inputs))


def graphed(step: Step, changes: Iterable[Tensor], device: torch.device, *, wanted: bool = True) -> Step:
    """`step` as a CUDA graph where that is `wanted` and `device` can, else `step` itself."""
    return GraphedStep(step, changes, CudaGraphRecorder(device)) if wanted and can_record(device) else step


def can_record(device: torch.device) -> bool:
    """Whether steps on `device` can be CUDA graphs."""
    return device.type == "cuda" and torch.version.hip is None


def keep_gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """Give each parameter a gradient that stays where it is, as recordings and views of it need; returns them."""
    kept = []
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
        kept.append(parameter.grad)
    return kept


def fill_gradients(loss: Tensor, parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor]) -> None:
    """What `loss.backward()` would put into new gradients, put into those of `keep_gradients`, in one kernel."""
    torch._foreach_copy_(list(gradients), torch.autograd.grad(loss, parameters))
