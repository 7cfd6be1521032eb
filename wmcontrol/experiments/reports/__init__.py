"""Reports of evaluations: tables, pictures, videos, and one page that holds them all."""

from .film import film
from .judged import Judged
from .page import Video
from .planners import planner_plot
from .report import save_report

__all__ = ["Judged", "Video", "film", "planner_plot", "save_report"]
