"""A plan as a picture: blocks as boxes, branches as branches, repeats as one box.

`draw` makes a `Drawing`, shapes at places; `write_drawing` and `to_svg` write it. Begin with `parts`. No torch.
"""

from archsearch.model.drawing.compose import draw
from archsearch.model.drawing.files import write_drawing
from archsearch.model.drawing.shapes import Drawing, Role
from archsearch.model.drawing.svg import to_svg

__all__ = ["Drawing", "Role", "draw", "to_svg", "write_drawing"]
