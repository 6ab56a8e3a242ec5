"""A stand-in for CUDA graphs."""

from collections.abc import Callable

from archsearch.training.cuda_graphs import Outputs


class Pretender:
    """Records as CUDA does, as far as anyone can see: outputs stay in the same tensors, and Python runs once.

    Like CUDA's, its replays read the inputs from where they were; unlike CUDA's, its recording computes.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def warm_up(self, run: Callable[[], object]) -> None:
        self.calls.append("warm up")
        for _ in range(3):
            run()

    def record(self, run: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
        self.calls.append("record")
        outputs = run()

        def replay() -> None:
            self.calls.append("replay")
            for output, value in zip(outputs, run(), strict=True):
                output.copy_(value)

        return outputs, replay
