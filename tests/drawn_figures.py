"""What tests look for in a drawn figure."""

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


def texts(figure):
    """Return what is written outside of axes: titles, facts and the legend."""
    return [text.get_text() for text in figure.texts]


def names(axes):
    """Return what is written beside axes, each name on one line."""
    return [" ".join(text.get_text().replace("\xa0", " ").split("\n")) for text in axes.texts]


def cut(figure):
    """Return the texts that do not lie within a figure."""
    Figure.draw_without_rendering(figure)
    axes = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    hidden = {text for axis in axes for text in (*axis.get_ticklabels(), *axis.get_ticklabels(minor=True))}
    ticks = {tick.label1 for axis in axes for tick in axis._update_ticks()} | {
        tick.label2 for axis in axes for tick in axis._update_ticks()
    }
    drawn = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible() and artist.get_text())
    whole = figure.bbox
    boxes = [(text, text.get_window_extent()) for text in drawn if text in ticks or text not in hidden]
    return [
        text.get_text()
        for text, box in boxes
        if not (box.x0 >= -1 and box.x1 <= whole.x1 + 1 and box.y0 >= -1 and box.y1 <= whole.y1 + 1)
    ]
