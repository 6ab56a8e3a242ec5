"""Drawings of networks as inline SVG, with the page's colours."""

from collections.abc import Collection, Mapping

from archsearch.model.drawing import Role, draw, to_svg
from archsearch.model.plan import Plan

_PALETTE: Mapping[Role, str] = {
    "ink": "var(--ink)", "muted": "var(--muted)", "line": "var(--muted)", "paper": "var(--paper)",
    "soft": "var(--soft)", "blue": "var(--layers)", "orange": "var(--head)", "accent": "var(--other)",
}  # fmt: skip


def network_drawing(plan: Plan, title: str, other: Plan | None = None, moved: Collection[str] = ()) -> str:
    """The network of `plan` as an `svg` element. Boxes unlike those of `other` are marked, and blocks `moved`."""
    return to_svg(draw(plan, title, other, moved), _PALETTE, standalone=False)
