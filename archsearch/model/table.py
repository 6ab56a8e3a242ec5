"""The layer table as text: torchsummary's columns, then MACs, receptive field, jump and block. No torch."""

from typing import TextIO

from archsearch.model.plan import Plan
from archsearch.model.tree import Layer
from archsearch.system.screen import wrapped
from archsearch.system.terminal import Column, TextTable, format_table, terminal_width

_HEADINGS = ("Layer (type)", "Output Shape", "Param #", "MACs", "Receptive field", "Jump", "Block")
_WIDTHS = (20, 26, 12, 13, 16, 6)
_OPTIONAL = (0, 0, 0, 1, 2, 4, 3)  # the highest is left out first where the terminal is narrow
_COLUMNS = [
    Column(heading, left=heading == "Block", optional=optional)
    for heading, optional in zip(_HEADINGS, _OPTIONAL, strict=True)
]


def layer_table(plan: Plan) -> str:
    """The table of `plan`, one row per layer. Flatten layers have no row, because they compute nothing."""
    rows = _rows(plan)
    heading = _line(_HEADINGS)
    line_length = len(heading) + max(len(row[-1]) - len(_HEADINGS[-1]) for row in rows if row[-1])
    lines = ["-" * line_length, heading, "=" * line_length]
    lines += [*map(_line, rows), "=" * line_length, *_totals(plan), "-" * line_length]
    return "\n".join(lines)


def shown_layer_table(plan: Plan, stream: TextIO | None = None) -> str:
    """`layer_table` for `stream` (standard output): on a terminal that is too narrow, without its last columns."""
    table, width = layer_table(plan), terminal_width(stream)
    if width is None or max(map(len, table.splitlines())) <= width:
        return table
    fitted = format_table(TextTable(_COLUMNS, _rows(plan)), stream)
    return "\n".join([fitted, "", *(wrapped(line, width) for line in _totals(plan))])


def _rows(plan: Plan) -> list[tuple[str, ...]]:
    return [_cells(number, layer) for number, layer in enumerate(filter(_has_row, plan.layers), 1)]


def _has_row(layer: Layer) -> bool:
    return layer.kind != "Flatten"


def _totals(plan: Plan) -> list[str]:
    channels, height, width = plan.input_shape
    return [
        f"Total params: {plan.params:,}",
        f"Trainable params: {plan.trainable_params:,}",
        f"Non-trainable params: {plan.params - plan.trainable_params:,}",
        f"Total MACs: {plan.macs:,} for one {channels}x{height}x{width} image",
        _receptive_field(plan.receptive_field, height, width),
    ]


def _cells(number: int, layer: Layer) -> tuple[str, ...]:
    return (
        f"{layer.type_name}-{number}",
        str([-1, *layer.output]),
        f"{layer.params:,}",
        f"{layer.macs:,}",
        str(layer.receptive_field or "-"),
        str(layer.jump or "-"),
        layer.place,
    )


def _receptive_field(size: int, height: int, width: int) -> str:
    if size == 0:
        return "Receptive field: unknown; layers and MACs as counted while the network ran"
    return f"Receptive field: {size}x{size} of {height}x{width} pixels"


def _line(cells: tuple[str, ...]) -> str:
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=False)) + f"  {cells[-1]}"
