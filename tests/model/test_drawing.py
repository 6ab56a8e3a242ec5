"""The drawing of a network: what its boxes say, where they stand, what is marked, and the files."""

import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from archsearch.model.custom import count_network
from archsearch.model.drawing import Drawing, draw, to_svg, write_drawing
from archsearch.model.drawing.shapes import Box, Line, Text
from archsearch.model.drawing.svg import PALETTE
from archsearch.model.drawing.words import short_count
from archsearch.model.plan import Plan
from tests.support.drawn import PARTS, Drawn, models
from tests.support.models import lower
from tests.support.presets import DRAWINGS, PRESETS, drawing_of, plan_of
from tests.support.requests import ask

SVG = "{http://www.w3.org/2000/svg}"


def words(drawing: Drawing) -> list[str]:
    return [shape.text for shape in drawing.shapes if isinstance(shape, Text)]


def boxes(drawing: Drawing) -> list[Box]:
    return [shape for shape in drawing.shapes if isinstance(shape, Box)]


def of_conv(**blocks: Any) -> dict[str, Any]:
    return {"blocks": blocks, "head": {"type": "gap"}}


def check_layout(drawing: Drawing) -> None:
    """Boxes lie in the drawing, and in each other or apart; text lies in the drawing."""
    for box in boxes(drawing):
        assert box.x >= 0 and box.y >= 0
        assert box.x + box.width <= drawing.width and box.y + box.height <= drawing.height
    for one, other in combinations(boxes(drawing), 2):
        left, right = max(one.x, other.x), min(one.x + one.width, other.x + other.width)
        top, bottom = max(one.y, other.y), min(one.y + one.height, other.y + other.height)
        overlap = max(0.0, right - left) * max(0.0, bottom - top)
        assert overlap == pytest.approx(0) or overlap == pytest.approx(
            min(one.width * one.height, other.width * other.height)
        )
    for shape in drawing.shapes:
        if isinstance(shape, Text):
            assert 0 <= shape.x <= drawing.width and 0 <= shape.y <= drawing.height
        if isinstance(shape, Line):
            assert all(0 <= x <= drawing.width and 0 <= y <= drawing.height for x, y in shape.points)
            assert all(a[0] == b[0] or a[1] == b[1] for a, b in zip(shape.points, shape.points[1:], strict=False))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_drawn(name: str) -> None:
    plan, drawing = plan_of(name), drawing_of(name)
    check_layout(drawing)
    assert drawing.height <= max(1200, 1.2 * drawing.width)  # fits a screen or a page
    assert f"{plan.params:,} parameters" in " ".join(words(drawing))
    assert {"input", "head", *(block for block in {layer.block for layer in plan.layers})} <= {
        word.split(" ×")[0] for word in words(drawing)
    }


@pytest.mark.parametrize("name", PRESETS)
def test_the_drawings_in_the_documentation_are_current(name: str) -> None:
    current = to_svg(drawing_of(name))
    assert (DRAWINGS / f"{name}.svg").read_text(encoding="utf-8") == current, "run python -m tests.support.presets"
    assert f"](networks/{name}.svg)" in (DRAWINGS.parent / "networks.md").read_text(encoding="utf-8")


@settings(max_examples=25)
@given(st.sampled_from(PARTS).flatmap(models))
def test_no_box_overlaps_another(drawn: Drawn) -> None:
    plan = drawn.plan()
    assume(plan is not None)
    assert plan is not None
    check_layout(draw(plan, "any"))


def test_a_box_says_what_its_layers_are_and_cost() -> None:
    text = words(draw(plan_of("session4"), "session4"))
    position = text.index("conv3")
    assert text[position + 1 : position + 5] == [
        "Conv2d 3x3, 12→24 · ReLU", "BatchNorm2d · Dropout2d 0.1", "24x22x22 · RF 7", "2,664 params · 1.25 M MACs",
    ]  # fmt: skip
    assert "12,954 parameters, 2.61 M MACs, receptive field 26" in text
    assert "Linear 144→10" in text


def test_arguments_are_shown_where_they_are_not_pytorchs_defaults() -> None:
    conv = {"channels": 8, "kernel_size": [1, 3], "stride": [1, 2], "padding": 1, "dilation": 2, "groups": "depthwise"}
    model = of_conv(c={"channels": 8}, d={**conv, "bias": False, "norm": "none"}, p={"type": "pool", "pool_stride": 1})
    text = words(draw(lower(model), "any"))
    position = text.index("d")
    shown = " ".join(text[position + 1 : position + 4])
    assert "Conv2d 1x3, 8→8, stride 1x2, padding 1, dilation 2, depthwise, no bias" in shown
    assert "MaxPool2d 2x2, stride 1" in text


def test_branches_stand_side_by_side_and_are_joined() -> None:
    conv = {"channels": 4, "kernel_size": 1}
    branches = {"one": {"a": conv}, "two": {"b": conv}, "skip": {}}
    drawing = draw(lower(of_conv(mixed={"type": "parallel", "branches": branches})), "any")
    places = {shape.text: shape for shape in drawing.shapes if isinstance(shape, Text)}
    assert places["a"].y == places["b"].y and places["a"].x < places["b"].x < places["skip"].x
    assert places["concat"].y > places["a"].y
    residual = draw(lower(of_conv(c=conv, r={"type": "residual", "body": {"x": conv}})), "any")
    assert {"body", "shortcut", "+"} <= set(words(residual))


def test_equal_repeats_are_one_box() -> None:
    text = words(draw(plan_of("resnet20"), "resnet20"))
    assert {"stage1 ×3", "stage2.0", "stage2.1-2 ×2"} <= set(text)
    assert text.count("each 4,672 params · 4.72 M MACs") == 1
    assert "16x32x32 · RF 15" in text  # the end of the third


def test_differences_are_marked() -> None:
    plan = plan_of("session4")
    other = ask(
        "model=session4", "model.blocks.conv3.channels=16", "+model.blocks.conv5.dropout=0", "~model.blocks.conv2"
    )
    changed = lower(other.config["model"])
    for one, two, marks in ((plan, changed, ["only here", "changed", "changed"]), (changed, plan, ["changed"] * 2)):
        drawing = draw(one, "any", two)
        assert [word for word in words(drawing) if word in ("changed", "only here")] == marks
        assert sum(box.marked for box in boxes(drawing)) == len(marks)
    assert not any(box.marked for box in boxes(draw(plan, "any", plan)))


def test_blocks_that_moved_are_marked() -> None:
    a, b = {"channels": 4}, {"channels": 4, "padding": 1}
    plan, other = lower(of_conv(a=a, b=b, c=a)), lower(of_conv(b=b, a={**a, "bias": False}, c=a))
    text = words(draw(plan, "any", other, {"a"}))
    assert text[text.index("a") + 1] == "moved, changed"
    text = words(draw(plan, "any", plan, {"a"}))
    assert [word for word in text if "moved" in word or "changed" in word] == ["moved"]


def test_another_number_of_repeats_and_another_join_are_marked() -> None:
    conv = {"channels": 8, "kernel_size": 1}

    def model(**settings: Any) -> Plan:
        return lower(of_conv(c=conv, p={"type": "parallel", "branches": {"a": {"x": conv}, "b": {}}, **settings}))

    for change in ({"repeat": 2}, {"repeat": 3}, {"join": "multiply"}):
        drawing = draw(model(join="add"), "any", model(**{"join": "add", **change}))
        assert words(drawing)[words(drawing).index("p") + 1] == "changed"
        assert sum(box.marked for box in boxes(drawing)) == 1


def test_a_long_network_is_cut_in_the_middle() -> None:
    blocks = {f"c{number}": {"channels": 1 + number % 5, "kernel_size": 1} for number in range(3000)}
    drawing = draw(lower(of_conv(**blocks)), "any")
    assert "... 2,941 more ..." in words(drawing) and len(boxes(drawing)) == 62
    check_layout(drawing)


def test_a_difference_in_the_part_that_is_left_out_is_marked() -> None:
    blocks = {f"c{number}": {"channels": 2, "kernel_size": 1} for number in range(100)}
    inner = {"type": "residual", "body": {"x": {"channels": 2, "kernel_size": 1}}}
    plan = lower(of_conv(**{**blocks, "c50": inner}))
    body = {"x": {"channels": 2, "kernel_size": 1, "bias": False}}
    other = lower(of_conv(**{**blocks, "c50": {**inner, "body": body}}))
    text = words(draw(plan, "any", other))
    assert text[text.index("... 41 more ...") + 1] == "changed"
    assert "changed" not in words(draw(plan, "any", plan))


def test_the_sign_of_a_join_stays_in_its_frame() -> None:
    drawing = draw(lower(of_conv(p={"type": "parallel", "branches": {"a": {}, "b": {}}})), "any")
    check_layout(drawing)


@pytest.mark.parametrize("name", ["n" * 300, "W" * 40, "HIDDEN_UNIT" * 10, "mwm_MQO" * 20, "illil" * 40])
def test_a_bold_name_is_no_wider_than_its_box(name: str) -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    drawing = draw(lower(of_conv(**{name: {"channels": 2}})), "any")
    title = next(shape for shape in drawing.shapes if isinstance(shape, Text) and shape.text == name)
    box = next(box for box in boxes(drawing) if box.x < title.x < box.x + 20 and box.y < title.y < box.y + 30)
    font = FontProperties(family="DejaVu Sans", weight="bold")
    width = TextPath((0, 0), name, size=title.size, prop=font).get_extents().width
    assert title.x + width <= box.x + box.width


def test_of_many_branches_those_in_the_middle_are_left_out() -> None:
    conv = {"channels": 1, "kernel_size": 1}
    branches = {f"b{number}": {"a": conv} for number in range(200)}
    drawing = draw(lower(of_conv(c=conv, p={"type": "parallel", "branches": branches})), "any")
    assert "... 188 more ..." in words(drawing) and words(drawing).count("a") == 12
    assert drawing.width < 3000
    check_layout(drawing)


def test_a_network_of_ones_own_is_drawn_module_by_module() -> None:
    from torch import nn

    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2704, 10))
    text = words(draw(count_network(network, (1, 28, 28), 10, channels_last=False), "own"))
    assert {"Conv2d", "40 params · 24.3 k MACs", "4x26x26", "27,050 params · 27.0 k MACs"} <= set(text)


def test_the_svg_is_valid_whatever_the_name(tmp_path: Path) -> None:
    drawing = draw(plan_of("session4"), 'a <b> & "c"\x07\x1b')
    root = ET.fromstring(to_svg(drawing))
    assert root.get("aria-label") == 'a <b> & "c"??'
    inline = to_svg(drawing, dict.fromkeys(PALETTE, "var(--ink)"), standalone=False)
    assert "#" not in inline and "<rect" in inline and "font-family" not in inline
    write_drawing(drawing, tmp_path / "a.svg")
    assert ET.parse(tmp_path / "a.svg").getroot().tag == f"{SVG}svg"


def test_the_png_has_two_pixels_for_one(tmp_path: Path) -> None:
    from matplotlib.image import imread

    drawing = draw(plan_of("lenet5"), "lenet5 $x$")
    write_drawing(drawing, tmp_path / "a.png")
    height, width = imread(tmp_path / "a.png").shape[:2]
    assert (height, width) == (pytest.approx(2 * drawing.height, abs=2), pytest.approx(2 * drawing.width, abs=2))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (9_999, "9,999"),
        (10_000, "10.0 k"),
        (999_999, "1.00 M"),
        (2_605_712, "2.61 M"),
        (12_345_678_901, "12.3 G"),
    ],
)
def test_large_numbers_are_short(number: int, text: str) -> None:
    assert short_count(number) == text
