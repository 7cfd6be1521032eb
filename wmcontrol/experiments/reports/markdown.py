"""The same sections in Markdown."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from .page import Section
from .tables import Table


def markdown(title: str, about: Sequence[str], sections: Sequence[Section], folder: Path) -> str:
    """Return a report in Markdown; pictures and videos are links as seen from ``folder``."""
    return "\n".join(_lines(title, about, sections, folder)) + "\n"


def _lines(title: str, about: Sequence[str], sections: Sequence[Section], folder: Path) -> Iterator[str]:
    yield f"# {title}\n"
    yield from (f"{paragraph}\n" for paragraph in about)
    for section in sections:
        yield f"## {section.heading}\n"
        if section.table is not None:
            yield from _table(section.table)
            yield ""
        yield from (f"{paragraph}\n" for paragraph in section.paragraphs)
        yield from (f"- {point}" for point in section.points)
        if section.points:
            yield ""
        for caption, picture in section.pictures:
            yield f"![{caption}](<{_link(picture, folder)}>)\n"
        for video in section.videos:
            yield f"[{video.caption}](<{_link(video.path, folder)}>)\n"


def _table(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(map(_cell, table.head))} |"
    yield "|" + "---|" * table.words + "---:|" * (len(table.head) - table.words)
    yield from (f"| {' | '.join(map(_cell, row))} |" for row in table.rows)


def _cell(text: str) -> str:
    """Return a text that ends neither its cell nor its row."""
    return text.replace("|", "\\|").replace("\n", " ")


def _link(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
