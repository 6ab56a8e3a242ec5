"""A stand-in for CUDA graphs."""

from collections.abc import Callable

from archsearch.training.cuda_graphs import Outputs


class FakeGraphRecorder:
    """Records functions without a GPU, with the visible behaviour of CUDA graphs.

    A replay reads the inputs from the recorded tensors and writes the outputs in place, like CUDA's. Unlike CUDA's, the
    recording computes, and a replay runs Python.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def warm_up(self, function: Callable[[], object]) -> None:
        self.calls.append("warm up")
        for _ in range(3):
            function()

    def record(self, function: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
        self.calls.append("record")
        outputs = function()

        def replay() -> None:
            self.calls.append("replay")
            for output, value in zip(outputs, function(), strict=True):
                output.copy_(value)

        return outputs, replay
