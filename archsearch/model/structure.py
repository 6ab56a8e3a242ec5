"""The structure of a plan while it is made: sequences, branches, and the state that layers change. No torch."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

from archsearch.errors import ConfigError, Problem
from archsearch.model.tree import Argument, Join, Layer, Node, Pair, Parallel, Sequence, Shape

_MOST_LAYERS = 50_000


class _Output(NamedTuple):
    """What layers change."""

    shape: Shape
    begin: Pair
    window: Pair
    jumps: Pair


@dataclass
class Structure:
    """The nodes so far, and the shape, window and jumps of their output. The first window begins at `begin`.

    What does not fit is reported as a problem of the block, and lowering goes on. After a misfit, height and width are
    unknown (`sized` is False), and only rules that do not depend on them are checked.
    """

    shape: Shape
    begin: Pair = (0, 0)
    window: Pair = (1, 1)
    jumps: Pair = (1, 1)
    sized: bool = True
    problems: list[Problem] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)  # of the innermost sequence
    _names: list[str] = field(default_factory=list)  # of the sequences around it
    _count: int = 0  # of layers
    setting: str = ""  # the path of the current block's settings

    @property
    def channels(self) -> int:
        """Channels of the current output."""
        return self.shape[0]

    @property
    def side(self) -> Pair:
        """Height and width of the current output."""
        return self.shape[1], self.shape[2]

    def report(self, message: str) -> None:
        """Report a problem of the current block."""
        self.problems.append(Problem(self.setting, message))

    @contextmanager
    def block(self, name: str, setting: str) -> Iterator[None]:
        """The layers of block `name`, whose settings have the path `setting`."""
        before, self.setting = self.setting, setting
        with self.sequence(name):
            yield
        self.setting = before

    @contextmanager
    def sequence(self, name: str) -> Iterator[None]:
        """Layers that are one module, an `nn.Sequential`. Nothing is appended if there are none."""
        outer, self.nodes = self.nodes, []
        self._names.append(name)
        yield
        children, self.nodes = self.nodes, outer
        if children:
            self.nodes.append(Sequence(".".join(self._names), tuple(children)))
        self._names.pop()

    def parallel(self, name: str, join: Join, branches: Mapping[str, Callable[[], None]]) -> None:
        """Branches by name. Each function appends the layers of its branch; one that appends none passes its input on.

        The shapes of `add` and `multiply` must agree, but for branches of shape (channels, 1, 1), which apply to every
        pixel. Channels add up for `concat`.
        """
        outer, images = self.nodes, self._output
        self._names.append(name)
        nodes: list[Sequence] = []
        ends: list[_Output] = []
        for branch, append in branches.items():
            self.shape, self.begin, self.window, self.jumps = images
            self.nodes = []
            self._names.append(branch)
            append()
            nodes.append(Sequence(".".join(self._names), tuple(self.nodes)))
            ends.append(self._output)
            self._names.pop()
        self.nodes = outer
        self._join(join, dict(zip(branches, ends, strict=True)))
        self.nodes.append(
            Parallel(".".join(self._names), join, tuple(nodes), self.shape, self.window, self.jumps)
        )  # fmt: skip
        self._names.pop()

    @property
    def _output(self) -> _Output:
        return _Output(self.shape, self.begin, self.window, self.jumps)

    def _join(self, join: Join, ends: Mapping[str, _Output]) -> None:
        largest = max((end.shape[1:] for end in ends.values()), key=prod)
        # A branch that squeezes the image to 1x1 sees all of it, like the statistics of a norm layer.
        full = [end for end in ends.values() if end.shape[1:] == largest or join == "concat"]
        shapes = [end.shape for end in full]
        squeezed = [end.shape for end in ends.values() if end.shape[1:] != largest]
        channels = {end.shape[0] for end in ends.values()}
        if join == "multiply" and len(channels) == 2:
            channels.discard(1)  # one weight a pixel, for all channels
        if join == "concat":
            agree, total = len({shape[1:] for shape in shapes}) == 1, sum(shape[0] for shape in shapes)
        else:
            agree = len(channels) == 1 and all(shape[1:] == (1, 1) for shape in squeezed)
            total = max(channels)
        strides = {end.jumps for end in full}
        if self.sized and (not agree or len(strides) > 1):
            texts = ", ".join(f"{name} {'x'.join(map(str, end.shape))}" for name, end in ends.items())
            same = "height and width" if join == "concat" else "shape"
            stride = "" if len(strides) == 1 else ", and of the same total stride"
            self.report(f"the branches must end with the same {same}{stride}, got {texts}; check padding and stride")
            self.sized = False
        self.shape = (total, *largest)
        (top, bottom), (left, right) = (
            (min(end.begin[axis] for end in full), max(end.begin[axis] + end.window[axis] for end in full))
            for axis in (0, 1)
        )
        self.begin, self.window = (top, left), (bottom - top, right - left)
        self.jumps = max(strides)

    def add(
        self,
        name: str,
        kind: str,
        arguments: Mapping[str, Argument] | None = None,
        params: int = 0,
        macs: int = 0,
        *,
        channel_counts: tuple[str, ...] | None = None,
        batch_statistics: bool = False,
    ) -> None:
        """Append a layer of class `kind`, from torch.nn or `module:Class`, whose output has the current shape.

        `Layer` describes the other arguments. Raises `ConfigError` if there are too many layers, as with repeats of
        repeats.
        """
        unknown = set(channel_counts or ()) - set(arguments or ())
        if unknown:
            raise ValueError(f"`channel_counts` must name arguments of {kind}, got {', '.join(sorted(unknown))}")
        self._count += 1
        if self._count > _MOST_LAYERS:
            raise ConfigError(
                [*self.problems, Problem(self.setting, f"the model has more than {_MOST_LAYERS:,} layers")]
            )
        block, *inner = [*self._names, name]
        layer = Layer(
            block, ".".join(inner), kind, arguments or {}, self.shape, params, macs, self.window, self.jumps,
            channel_counts, batch_statistics,
        )  # fmt: skip
        self.nodes.append(layer)

    def slide(self, extent: Pair, strides: Pair, padding: Pair = (0, 0)) -> None:
        """Update window and jumps for a window of `extent` that moves by `strides`, from `padding` before the image."""
        jumps = self.jumps
        self.begin = (self.begin[0] - padding[0] * jumps[0], self.begin[1] - padding[1] * jumps[1])
        self.window = (self.window[0] + (extent[0] - 1) * jumps[0], self.window[1] + (extent[1] - 1) * jumps[1])
        self.jumps = (jumps[0] * strides[0], jumps[1] * strides[1])

    def see_all(self) -> None:
        """Let the window cover the current height and width."""
        if len(self.shape) > 1:
            height, width = self.side
            self.window = (
                self.window[0] + (height - 1) * self.jumps[0],
                self.window[1] + (width - 1) * self.jumps[1],
            )
