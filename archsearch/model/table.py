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
        f"Trainable params: {plan.trainable_params:,}",
        f"Non-trainable params: {plan.params - plan.trainable_params:,}",
        f"Total MACs: {plan.macs:,} for one {channels}x{height}x{width} image",
        _receptive_field(plan.receptive_field, height, width),
        "-" * line_length,
    ]
    return "\n".join(lines)


def _cells(number: int, layer: Layer) -> tuple[str, ...]:
    return (
        f"{layer.kind}-{number}",
        str([-1, *layer.output]),
        f"{layer.params:,}",
        f"{layer.macs:,}",
        str(layer.receptive_field or "-"),
        str(layer.jump or "-"),
        layer.block,
    )


def _receptive_field(size: int, height: int, width: int) -> str:
    if size == 0:
        return "Receptive field: unknown; layers and MACs as counted while the network ran"
    return f"Receptive field: {size}x{size} of {height}x{width} pixels"


def _line(cells: tuple[str, ...]) -> str:
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=False)) + f"  {cells[-1]}"
