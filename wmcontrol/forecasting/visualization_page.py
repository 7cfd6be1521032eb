"""Pictures, a film and a page of what a predictor foresees and where it looks.

Letters: ``T`` frames of the clip, ``C`` of them that are seen, ``P`` patches of a frame.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..evaluation.reports.figures import BLUE, GREEN, ORANGE, new_figure
from ..evaluation.reports.film import save_film
from ..evaluation.reports.report import Video, html_page, json_text
from ..files import atomic_write
from .visualization import Visualization

TOKENS, ATTENTION, FILM, PAGE = "tokens.png", "attention.png", "tokens.mp4", "visualization.html"
_DPI = 100
_CELL, _WIDEST = 112, 280  # pixels: how high a picture is drawn, and how wide at most
_FILM_CELL = 224
_LEFT, _TOP, _GAP, _UNDER = 84, 22, 6, 18  # around pictures, and below maps of attention
_CURVES = 200  # how high the plot of one token's components is
_GREY = 190  # of frames that are seen, where predictions stand
_FRAMES_PER_SECOND = 4


def save_visualization(found: Visualization, folder: str | Path) -> Path:
    """Save ``tokens.png``, ``attention.png``, ``tokens.mp4`` and ``visualization.html``, which shows them all.

    Returns:
        The page. There is no picture of attention where the predictor has no cross-attention.

    Raises:
        ValueError: tokens of which no colours can be made.
        OSError: nothing can be written there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = _rows(found)
    _draw_tokens(found, rows).save(folder / TOKENS)
    pictures = [(_caption(found), folder / TOKENS)]
    if found.blocks:
        _draw_attention(found).save(folder / ATTENTION)
        pictures.append((_attention_caption(found), folder / ATTENTION))
    save_film((_film_frame(found, rows, t) for t in range(len(found.frames))), folder / FILM, _FRAMES_PER_SECOND)
    model, copy = found.errors()
    table = [
        {
            "frame": str(found.context_frames + k),
            "seconds ahead": f"{found.times[found.context_frames + k] - found.times[found.context_frames - 1]:.3f}",
            "error of tokens": f"{model[k]:.4f}",
            "of copying": f"{copy[k]:.4f}",
            "over copying's, %": f"{100 * model[k] / copy[k]:.1f}" if copy[k] else "copying is exact",
        }
        for k in range(len(model))
    ]
    settings = {
        "clip": found.name,
        "times": found.times.tolist(),
        "context_frames": found.context_frames,
        "grid": list(found.grid),
        "blocks": list(found.blocks),
        "query": list(found.query),
    }
    note = "Mean absolute errors of the tokens that are foreseen, and of those of the last frame that is seen."
    text = html_page(
        "What the model foresees",
        [f"Clip: {found.name}."],
        [
            {"heading": "Tokens", "pictures": pictures[:1], "videos": [Video("The same as a film.", folder / FILM)]},
            *([{"heading": "Attention", "pictures": pictures[1:]}] if found.blocks else []),
            {"heading": "Errors", "table": table, "paragraphs": [note]},
        ],
        json_text(settings),
    )
    with atomic_write(folder / PAGE) as file:
        file.write(text.encode())
    return folder / PAGE


Rows = dict[str, list[NDArray[np.uint8] | None]]  # of each kind a picture of every frame; None: it was seen


def _rows(found: Visualization) -> Rows:
    colors, seen = found.colors(), [None] * found.context_frames
    rows: Rows = {
        "frames": list(found.frames),
        "encoder": list(colors(found.tokens, found.grid).numpy()),
        "predicted": [*seen, *colors(found.predicted, found.grid).numpy()],
    }
    if found.decoded is not None:
        rows["predicted,\ndecoded"] = [*seen, *found.decoded]
    return rows


def _caption(found: Visualization) -> str:
    lead = (
        "Frames, the encoder's tokens and those that the predictor foresees, one after another, by the first three "
        f"principal components of the clip's tokens, which tell {100 * found.colors().share:.0f} % of their variance, "
        "as red, green and blue. Grey: frames that the predictor sees."
    )
    if found.grid == (1, 1):
        lead += " A frame has one token, so that it is of one colour; the curves are its three components."
    return lead


def _attention_caption(found: Visualization) -> str:
    where = "the only token" if found.grid == (1, 1) else f"the patch in row {found.query[0]}, column {found.query[1]}"
    return (
        f"Where the query for {where} of the next frame (red) looks in the frames that are seen, in blocks "
        f"{', '.join(map(str, found.blocks))} (from 0): the mean over heads, brightest where it is largest in its "
        "block. Below each map: the share of the frame."
    )


class _Board:
    """Pictures at places in pixels from the upper left, with words between them."""

    def __init__(self, width: int, height: int):
        self._pixels = np.full((height, width, 3), 255, np.uint8)
        self.figure = new_figure(width / _DPI, height / _DPI, dpi=_DPI, layout=None)

    def picture(self, left: int, top: int, size: tuple[int, int], picture: NDArray[np.uint8] | None) -> None:
        """Put a picture there, as high and wide as ``size`` says; None is grey."""
        if picture is None:
            drawn = np.full((*size, 3), _GREY, np.uint8)
        else:
            # Patches and small frames with their pixels visible.
            how = cv2.INTER_NEAREST if picture.shape[0] <= size[0] else cv2.INTER_AREA
            drawn = np.asarray(cv2.resize(picture, size[::-1], interpolation=how))
        self._pixels[top : top + size[0], left : left + size[1]] = drawn

    def box(self, left: float, top: float, height: float, width: float) -> None:
        """Draw a red frame."""
        corners = [(round(left), round(top)), (round(left + width) - 1, round(top + height) - 1)]
        cv2.rectangle(self._pixels, corners[0], corners[1], (255, 0, 0), 2)

    def words(self, left: float, base: float, text: str, **style: Any) -> None:
        """Write a text."""
        height, width = self._pixels.shape[:2]
        self.figure.text(left / width, 1 - base / height, text, **{"fontsize": 8, "color": "0.15", **style})

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        """Return axes for a plot there."""
        whole_height, whole_width = self._pixels.shape[:2]
        bottom = whole_height - top - height
        place = (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
        return self.figure.add_axes(place)

    def drawn(self) -> NDArray[np.uint8]:
        """Return the picture."""
        self.figure.figimage(self._pixels, zorder=-1)  # under the plots
        self.figure.canvas.draw()
        return np.asarray(self.figure.canvas.buffer_rgba())[..., :3].copy()

    def save(self, path: Path) -> None:
        """Save the picture as a PNG file."""
        self.figure.figimage(self._pixels, zorder=-1)  # under the plots
        with atomic_write(path) as file:
            self.figure.savefig(file, format="png")


def _cell(found: Visualization, height: int) -> tuple[int, int]:
    """Return the height and width that a picture of a frame is drawn in."""
    rows, columns = found.frames.shape[1:3]
    width = round(height * columns / rows)
    most = height * _WIDEST // _CELL
    return (height, width) if width <= most else (round(most * rows / columns), most)


def _draw_tokens(found: Visualization, rows: Rows) -> _Board:
    T, single = len(found.frames), found.grid == (1, 1)
    height, width = _cell(found, _CELL)
    pictures_end = _TOP + len(rows) * (height + _GAP)
    board = _Board(_LEFT + T * (width + _GAP), pictures_end + (_CURVES if single else 0))
    for i, (name, pictures) in enumerate(rows.items()):
        top = _TOP + i * (height + _GAP)
        board.words(_GAP, top + height / 2, name, va="center")
        for t, picture in enumerate(pictures):
            board.picture(_LEFT + t * (width + _GAP), top, (height, width), picture)
    for t, time in enumerate(found.times):
        board.words(_LEFT + t * (width + _GAP) + width / 2, _TOP - 6, f"{time:.2f} s", ha="center")
    if single:
        _draw_components(board.axes(_LEFT, pictures_end + 8, T * (width + _GAP) - _GAP, _CURVES - 46), found)
    return board


def _draw_components(axes: Any, found: Visualization) -> None:
    colors, C = found.colors(), found.context_frames
    true, predicted = colors.project(found.tokens)[:, 0], colors.project(found.predicted)[:, 0]
    for k, color in enumerate((BLUE, ORANGE, GREEN)):
        axes.plot(found.times, true[:, k], "o-", color=color, markersize=3, label=f"component {k + 1}, encoder")
        axes.plot(found.times[C:], predicted[:, k], "s--", color=color, markersize=4, label="predicted")
    axes.axvline(found.times[C - 1], color="0.6", linewidth=0.8)
    axes.set_xlabel("seconds", fontsize=8)
    axes.tick_params(labelsize=7.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, ncols=3, frameon=False)


def _draw_attention(found: Visualization) -> _Board:
    from matplotlib import colormaps

    C, single = found.context_frames, found.grid == (1, 1)
    height, width = _cell(found, _CELL)
    row, column = found.query
    rows, columns = found.grid
    step = height + _UNDER
    board = _Board(_LEFT + (C + 1) * (width + _GAP), _TOP + (len(found.blocks) + 1) * step)
    places = [_LEFT + t * (width + _GAP) for t in range(C + 1)]
    grey = np.repeat(found.frames[C].mean(-1, keepdims=True), 3, -1).round().astype(np.uint8)
    for t, left in enumerate(places):
        board.picture(left, _TOP, (height, width), found.frames[t] if t < C else grey)
        told = f"{found.times[t] - found.times[C]:+.2f} s" if t < C else "foreseen"
        board.words(left + width / 2, _TOP - 6, told, ha="center")
    patch = height / rows, width / columns
    board.box(places[C] + column * patch[1], _TOP + row * patch[0], *patch)
    board.words(_GAP, _TOP + height / 2, "frames", va="center")
    weights = found.attention[:, row * columns + column].unflatten(-1, found.grid).numpy()
    for i, block in enumerate(found.blocks):
        top = _TOP + (i + 1) * step
        board.words(_GAP, top + height / 2, f"block {block}", va="center")
        # Of one patch all that a map says is its share.
        bright = weights[i] / (1 if single else max(float(weights[i].max()), 1e-30))
        maps = (255 * colormaps["viridis"](bright)[..., :3]).round().astype(np.uint8)
        for t in range(C):
            board.picture(places[t], top, (height, width), maps[t])
            share = f"{100 * weights[i, t].sum():.0f} %"
            board.words(places[t] + width / 2, top + height + 13, share, ha="center", fontsize=7.5)
    return board


def _film_frame(found: Visualization, rows: Rows, t: int) -> NDArray[np.uint8]:
    height, width = _cell(found, _FILM_CELL)
    wide, high = _GAP + len(rows) * (width + _GAP), 2 * _TOP + height + _GAP
    board = _Board(wide + wide % 2, high + high % 2)  # as the video's colours need it
    state = "seen" if t < found.context_frames else "foreseen"
    board.words(_GAP, _TOP - 6, f"{found.times[t]:.2f} s, {state}")
    for i, (name, pictures) in enumerate(rows.items()):
        left = _GAP + i * (width + _GAP)
        board.words(left + width / 2, 2 * _TOP - 6, " ".join(name.split()), ha="center")
        board.picture(left, 2 * _TOP, (height, width), pictures[t])
    return board.drawn()
