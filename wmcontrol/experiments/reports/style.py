"""How a report's figures look: colours that colour-blind readers can tell apart, and figures without a display."""

from collections.abc import Sequence
from typing import Any

from .judged import Judged
from .rows import in_order, role

# Okabe and Ito's palette, https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, PURPLE, RED, SKY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"
_KNOWN = {"full": BLUE, "scratch": ORANGE, "action_only": GREEN}
_MORE = (PURPLE, RED, SKY, BLUE, ORANGE, GREEN, "#882255", "#999933")  # the last two are Paul Tol's
MARKERS = "osD^vP*X<>"
FLOOR_COLOR, CEILING_COLOR = "0.55", "0.15"


def new_figure(width: float, height: float, *, dpi: int = 144, layout: Any = "constrained") -> Any:
    """Return an empty figure, sizes in inches, that is drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=dpi, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def literal(text: str) -> str:
    """Return a text that Matplotlib draws as it is: between two dollars it would read a formula."""
    return text.replace("$", r"\$")


def styles(judged: Sequence[Judged]) -> dict[str, tuple[str, str]]:
    """Return a colour and a marker for each agent that is a model, always the same for the three modes."""
    agents = in_order([row.agent for row in judged if role(row) == "model"])
    free = [color for color in _MORE if color not in {_KNOWN.get(agent) for agent in agents}]
    others = [agent for agent in agents if agent not in _KNOWN]
    colors = {**_KNOWN, **{agent: free[i % len(free)] for i, agent in enumerate(others)}}
    return {agent: (colors[agent], MARKERS[i % len(MARKERS)]) for i, agent in enumerate(agents)}


def panels(figure: Any, count: int, columns: int = 3) -> list[Any]:
    """Return a figure's panels, row by row."""
    columns = min(count, columns)
    rows = -(-count // columns)
    return [figure.add_subplot(rows, columns, i + 1) for i in range(count)]


def percent_axis(axis: Any, step: float = 0.2) -> None:
    """Write shares on an axis as per cent, one every ``step``."""
    from matplotlib.ticker import MultipleLocator

    axis.set_major_locator(MultipleLocator(step))
    axis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
