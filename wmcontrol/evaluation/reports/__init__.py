"""Reports of evaluations: tables, figures, films, and one page that holds them all."""

from .figures import planner_plot
from .film import film
from .report import Video, report

__all__ = ["Video", "film", "planner_plot", "report"]
