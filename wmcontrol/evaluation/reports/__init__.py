"""Reports of evaluations: tables, figures, films, and one page that holds them all."""

from .figures import calibration_figure, planner_plot
from .film import film
from .report import Video, report

__all__ = ["Video", "calibration_figure", "film", "planner_plot", "report"]
