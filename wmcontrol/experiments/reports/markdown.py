"""The same sections in Markdown."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .page import Section
from .tables import Table

# What makes of a text something else: code, emphasis, cells, tags, entities, formulas, links.
_SPECIAL = r"[\\`*|<~$]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])"
_BEGINS = r"^(\d*)([#>]|[-+=](?=[\s=-]|$)|(?<=\d)[.)](?=\s|$))"  # headings, lists, quotations


def markdown(title: str, about: Sequence[str], sections: Sequence[Section], folder: Path) -> str:
    """Return a report in Markdown; pictures and videos are links as seen from ``folder``."""
    return "\n".join(_lines(title, about, sections, folder)) + "\n"


def _lines(title: str, about: Sequence[str], sections: Sequence[Section], folder: Path) -> Iterator[str]:
    yield f"# {_escaped(title)}\n"
    yield from (f"{_escaped(paragraph)}\n" for paragraph in about)
    for section in sections:
        yield f"## {_escaped(section.heading)}\n"
        if section.table is not None:
            yield from _table(section.table)
            yield ""
        yield from (f"{_escaped(paragraph)}\n" for paragraph in section.paragraphs)
        yield from (f"- {_escaped(point)}" for point in section.points)
        if section.points:
            yield ""
        for caption, picture in section.pictures:
            yield f"![{_escaped(caption)}](<{_link(picture, folder)}>)\n"
        for video in section.videos:
            yield f"[{_escaped(video.caption)}](<{_link(video.path, folder)}>)\n"


def _table(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(map(_escaped, table.head))} |"
    yield "|" + "---|" * table.words + "---:|" * (len(table.head) - table.words)
    yield from (f"| {' | '.join(map(_escaped, row))} |" for row in table.rows)


def _escaped(text: str) -> str:
    """Return a text in one line that stands as it is, be it the name of a file or of an agent."""
    line = re.sub(_SPECIAL, r"\\\g<0>", " ".join(text.split()))
    return re.sub(_BEGINS, r"\1\\\2", line)


def _link(path: Path, folder: Path) -> str:
    """Return a link for angle brackets."""
    return re.sub(r"([\\<>])", r"\\\1", Path(os.path.relpath(path, folder)).as_posix().replace("\n", "%0A"))
