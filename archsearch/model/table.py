"""The layer table as text: torchsummary's columns, then MACs, receptive field, jump and block. No torch."""

from archsearch.model.plan import Layer, Plan

_HEADINGS = ("Layer (type)", "Output Shape", "Param #", "MACs", "Receptive field", "Jump", "Block")
_WIDTHS = (20, 26, 12, 13, 16, 6)


def layer_table(plan: Plan) -> str:
    """The table of `plan`, one row per layer. Flatten layers have no row, because they compute nothing."""
    rows = [layer for layer in plan.layers if layer.kind != "Flatten"]
    heading = _line(_HEADINGS)
    line_length = len(heading) + max(len(row.block) - len(_HEADINGS[-1]) for row in rows if row.block)
    lines = ["-" * line_length, heading, "=" * line_length]
    lines += [_line(_cells(number, layer)) for number, layer in enumerate(rows, 1)]
    channels, height, width = plan.input_shape
    lines += [
        "=" * line_length,
        f"Total params: {plan.params:,}",
        f"Trainable params: {plan.params:,}",
        "Non-trainable params: 0",
        f"Total MACs: {plan.macs:,} for one {channels}x{height}x{width} image",
        f"Receptive field: {plan.receptive_field}x{plan.receptive_field} of {height}x{width} pixels",
        "-" * line_length,
    ]
    return "\n".join(lines)


def _cells(number: int, layer: Layer) -> tuple[str, ...]:
    return (
        f"{layer.kind}-{number}",
        str([-1, *layer.output]),
        f"{layer.params:,}",
        f"{layer.macs:,}",
        str(layer.receptive_field),
        str(layer.jump),
        layer.block,
    )


def _line(cells: tuple[str, ...]) -> str:
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=False)) + f"  {cells[-1]}"
