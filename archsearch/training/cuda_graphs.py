"""A training step as one CUDA graph: one call launches its roughly hundred kernels, instead of Python one by one.

A small network's step on a GPU is mostly launch time. Forward, loss, backward and the loss sums are recorded once and
replayed. The optimizer, with its few fused kernels, stays outside, because schedules change learning rate *and
momentum* at every step: torch's optimizers accept the rate as a tensor, but a recording would freeze the momentum's
value. See docs.pytorch.org/docs/stable/notes/cuda.html ("Whole-network capture").
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

Outputs = tuple[Tensor, ...]
Step = Callable[..., Outputs]

_WARM_UPS = 3  # as in torch's documentation: these calls choose algorithms and allocate workspaces


class GraphRecorder(Protocol):
    """Records the kernels of a function for replay."""

    def warm_up(self, function: Callable[[], object]) -> None:
        """Call `function` a few times, so that one-time work is not recorded."""

    def record(self, function: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
        """Record `function`. Returns its outputs, and a function that recomputes them in place."""


class CudaGraphRecorder:
    """Records CUDA graphs on `device`."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def warm_up(self, function: Callable[[], object]) -> None:
        """Call `function` on a side stream, as CUDA requires before a recording."""
        with torch.cuda.device(self.device):
            side, main = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
            side.wait_stream(main)
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):
                    function()
            main.wait_stream(side)

    def record(self, function: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
        """Record without computing: the outputs have no values until the first replay."""
        with torch.cuda.device(self.device):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                outputs = function()
        return outputs, graph.replay


class GraphedStep:
    """Records `step` in the first call, and replays it for inputs of the same shapes.

    Inputs of other shapes (the short last batch) run normally. `mutated` lists every tensor that a step changes in
    place: weights, statistics, gradients, sums. Recording restores them and the random generators, so a recorded run
    computes the same numbers as one without recording. Each replay draws new random numbers.

    A step must not wait for the device, branch on a tensor's value, or draw from the generators of Python, NumPy or the
    CPU: a replay repeats kernels, not Python. The next call overwrites the outputs.
    """

    def __init__(self, step: Step, mutated: Iterable[Tensor], recorder: GraphRecorder) -> None:
        self._step, self._mutated, self._recorder = step, tuple(mutated), recorder
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
        saved_values = [value.detach().clone() for value in self._mutated]
        cpu_state = torch.get_rng_state()
        devices = {value.device for value in (*inputs, *self._mutated) if value.is_cuda}
        gpu_states = [(device, torch.cuda.get_rng_state(device)) for device in devices]
        self._recorder.warm_up(self._run_on_buffers)
        self._outputs, self._replay = self._recorder.record(self._run_on_buffers)
        with torch.no_grad():
            for value, saved in zip(self._mutated, saved_values, strict=True):
                value.copy_(saved)
        torch.set_rng_state(cpu_state)
        for device, state in gpu_states:
            torch.cuda.set_rng_state(state, device)

    def _run_on_buffers(self) -> Outputs:
        return self._run(*self._inputs)

    def _run(self, *inputs: Tensor) -> Outputs:
        return tuple(output.detach() for output in self._step(*inputs))


def graphed(step: Step, mutated: Iterable[Tensor], recorder: GraphRecorder | None) -> Step:
    """`step` as a graph recorded by `recorder`; `step` itself without one."""
    return step if recorder is None else GraphedStep(step, mutated, recorder)


def cuda_recorder(device: torch.device) -> GraphRecorder | None:
    """A recorder of CUDA graphs, or None if `device` does not support them."""
    return CudaGraphRecorder(device) if device.type == "cuda" and torch.version.hip is None else None


def keep_gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """Give each parameter a gradient tensor that stays in place, as recordings and views need; returns the tensors."""
    gradients = []
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
        gradients.append(parameter.grad)
    return gradients


def fill_gradients(loss: Tensor, parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor]) -> None:
    """Write the gradients of `loss` into the tensors of `keep_gradients`, in one kernel, replacing their values."""
    torch._foreach_copy_(list(gradients), torch.autograd.grad(loss, parameters))
