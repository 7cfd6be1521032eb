"""A part of the report: a table, and what is to be read from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """Something that was asked, and what came."""

    asked: str
    found: str
    met: bool

    @property
    def word(self) -> str:
        """Whether it was met, in words."""
        return "met" if self.met else "not met"


@dataclass(frozen=True)
class Section:
    """What one measurement found.

    Args:
        title: of it.
        about: what was done, in a sentence or two.
        heads: of the table's columns.
        rows: of the table, as they are shown.
        numbers: the same for machines.
        verdicts: what was asked and what came.
        picture: file name of a figure beside the report.
    """

    title: str
    about: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: dict[str, Any]
    verdicts: Sequence[Verdict] = ()
    picture: str | None = None

    def lines(self) -> list[str]:
        """Return it in Markdown."""
        found = [f"## {self.title}", "", self.about, ""]
        found += [f"| {' | '.join(self.heads)} |", "|---" + "|---:" * (len(self.heads) - 1) + "|"]
        found += [f"| {' | '.join(row)} |" for row in self.rows]
        for verdict in self.verdicts:
            found += ["", f"Asked: {verdict.asked}. Measured: {verdict.found}. **{verdict.word.capitalize()}.**"]
        if self.picture:
            found += ["", f"![{self.title}]({self.picture})"]
        return [*found, ""]
