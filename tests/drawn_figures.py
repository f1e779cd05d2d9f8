"""What tests ask of a drawn figure."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text


def lines(axes):
    """Return the plotted data by label, without what matplotlib named itself, such as error bars."""
    return {
        line.get_label(): [np.asarray(values, float).tolist() for values in line.get_data()]
        for line in axes.get_lines()
        if not line.get_label().startswith(("_child", "_nolegend"))
    }


def words(axes):
    """Return the texts written into or beside axes."""
    return [text.get_text() for text in axes.texts]


def names(figure):
    """Return the labels of a figure's only legend."""
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def titles(figure):
    """Return the titles of a figure's axes that have one."""
    return [title for axes in figure.axes if (title := axes.get_title(loc="left"))]


def everything_fits(figure):
    """Tell whether every text lies within the figure."""
    Figure.draw_without_rendering(figure)  # drawn whole: a layout alone sets no aspect
    texts = [text for axes in figure.axes for text in (*axes.texts, axes.title, axes._left_title, axes._right_title)]
    boxes = [Text.get_window_extent(text) for text in texts if text.get_text()]  # without an annotation's dotted line
    whole = figure.bbox
    return all(b.x0 >= -1 and b.x1 <= whole.x1 + 1 and b.y0 >= -1 and b.y1 <= whole.y1 + 1 for b in boxes)
