"""Contact sheets: pictures in rows, each with a few words above it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wmcontrol.files import atomic_write

Picture = NDArray[np.uint8]
Captioned = tuple[str, Picture]  # what stands above a picture, and the picture (H, W, 3)

_DPI = 100
_TITLE = 0.22  # height of the words above a picture, inches
_LABEL = 0.3  # width of the words beside a row
_GAP = 0.06


def enlarged(picture: Picture, size: int) -> Picture:
    """Enlarge a square picture to ``size`` by repeating its pixels, so that they can be seen."""
    source = np.arange(size) * len(picture) // size
    return picture[source][:, source]


def save_sheet(path: Path, rows: Mapping[str, Sequence[Captioned]], cell: int) -> None:
    """Save a contact sheet as a PNG file.

    Args:
        path: where to.
        rows: what stands beside each row, and its pictures.
        cell: side of each picture on the sheet, pixels. A smaller picture is enlarged with its pixels visible.
    """
    columns = max(map(len, rows.values()))
    side = cell / _DPI
    width = _LABEL + columns * (side + _GAP)
    height = len(rows) * (side + _TITLE) + _GAP
    figure = Figure((width, height), dpi=_DPI)
    FigureCanvasAgg(figure)
    for i, (label, pictures) in enumerate(rows.items()):
        bottom = height - (i + 1) * (side + _TITLE)
        middle = bottom + side / 2
        figure.text(_LABEL / 2 / width, middle / height, label, rotation=90, ha="center", va="center", fontsize=7)
        for j, (title, picture) in enumerate(pictures):
            left = _LABEL + j * (side + _GAP)
            axes: Any = figure.add_axes((left / width, bottom / height, side / width, side / height))
            # A thin frame: many pictures are white at their edges, like the sheet.
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(color="0.7", linewidth=0.5)
            axes.imshow(picture, interpolation="nearest" if len(picture) <= cell else "antialiased")
            axes.set_title(title, fontsize=7, pad=2)
    with atomic_write(path) as file:
        figure.savefig(file, format="png")
