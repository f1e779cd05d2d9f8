"""A figure and leaders that take less time than matplotlib's own."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import ConnectionStyle
from matplotlib.path import Path
from matplotlib.transforms import Bbox


class Sheet(Figure):
    """A figure that is laid out once, at its first `savefig`, after which nothing may be added.

    matplotlib lays a figure out for every file, and draws it for that.
    """

    def savefig(self, *place: Any, **settings: Any) -> None:
        """Save the figure; the first time lay it out."""
        if self.get_layout_engine() is not None:
            self.draw_without_rendering()
            self.set_layout_engine(None)
        super().savefig(*place, **settings)

    def draw_without_rendering(self) -> None:
        """Lay the figure out."""
        engine = self.get_layout_engine()
        assert engine is not None, "blank_figure gives it one"
        engine.execute(self)


class Leader(ConnectionStyle.Arc3):
    """A straight line from a text, which asks whether a point is in the text's rectangle by four comparisons."""

    def __call__(self, *ends: Any, **around: Any) -> Path:
        """Return the line between two points without its part in the rectangle."""
        text = around["patchA"]
        return super().__call__(*ends, **around | {"patchA": text and _Rectangle(text.get_extents())})


class _Rectangle:
    def __init__(self, box: Bbox) -> None:
        (self.left, self.bottom), (self.right, self.top) = box.min, box.max

    def contains(self, event: Any) -> tuple[bool, dict[str, Any]]:
        return self.left <= event.x <= self.right and self.bottom <= event.y <= self.top, {}
