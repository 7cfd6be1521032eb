"""Reports of evaluations: tables, pictures, videos, and one page that holds them all."""

from .judged import Judged

__all__ = ["Judged"]
