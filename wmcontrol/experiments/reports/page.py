"""One page of HTML that needs nothing beside it: pictures and videos are in it, and it runs no code."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from .tables import Table

_CSS = """
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --soft: #59636e; --line: #d1d9e0; --band: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0d1117; --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --band: #161b22; }
}
body { margin: 0 auto; max-width: 68rem; padding: 1rem 1.5rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { line-height: 1.2; } h2 { margin-top: 2.2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
th { border-bottom: 2px solid var(--line); vertical-align: bottom; }
tbody tr:nth-child(even) { background: var(--band); }
td.number, th.number { text-align: right; }
figure { margin: 1.5rem 0; }
img, video { display: block; max-width: 100%; height: auto; border-radius: 6px; background: #fff; }
figcaption, .note { color: var(--soft); font-size: .9rem; }
figcaption { margin-top: .4rem; }
pre { overflow-x: auto; padding: 1rem; background: var(--band); border: 1px solid var(--line); border-radius: 6px;
  font-size: .8rem; }
summary { cursor: pointer; }
"""


@dataclass(frozen=True)
class Video:
    """A video, an MP4 file that browsers play, and what stands below it."""

    caption: str
    path: Path


@dataclass(frozen=True)
class Section:
    """A part of a page: heading, paragraphs, a table, a list, pictures, videos; whatever there is of these."""

    heading: str
    paragraphs: Sequence[str] = ()
    table: Table | None = None
    points: Sequence[str] = ()
    pictures: Sequence[tuple[str, Path]] = ()
    videos: Sequence[Video] = ()


def page(title: str, about: Sequence[str], sections: Sequence[Section], settings: str) -> str:
    """Return the page.

    Args:
        title: of the page.
        about: paragraphs below it.
        sections: what follows.
        settings: JSON, at the end, where it unfolds.
    """
    return "\n".join(_lines(title, about, sections, settings)) + "\n"


def _lines(title: str, about: Sequence[str], sections: Sequence[Section], settings: str) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>"
    yield from (f"<p>{escape(paragraph)}</p>" for paragraph in about)
    for section in sections:
        yield f"<h2>{escape(section.heading)}</h2>"
        if section.table is not None:
            yield from _table(section.table)
        yield from (f'<p class="note">{escape(paragraph)}</p>' for paragraph in section.paragraphs)
        if section.points:
            yield "<ul>"
            yield from (f"<li>{escape(point)}</li>" for point in section.points)
            yield "</ul>"
        for caption, picture in section.pictures:
            source = f"data:image/png;base64,{_base64(picture)}"
            shown = f'<img src="{source}" alt="{escape(caption)}">'
            yield f"<figure>{shown}<figcaption>{escape(caption)}</figcaption></figure>"
        for video in section.videos:
            source = f"data:video/mp4;base64,{_base64(video.path)}"
            shown = f'<video controls loop muted playsinline src="{source}"></video>'
            yield f"<figure>{shown}<figcaption>{escape(video.caption)}</figcaption></figure>"
    yield "<h2>Full settings</h2>\n<details><summary>as JSON</summary>"
    yield f"<pre>{escape(settings)}</pre>\n</details>\n</body>\n</html>"


def _table(table: Table) -> Iterator[str]:
    kinds = ["" if i < table.words else ' class="number"' for i in range(len(table.head))]
    yield '<div class="scroll"><table>\n<thead><tr>'
    yield "".join(f"<th{kind}>{escape(cell)}</th>" for kind, cell in zip(kinds, table.head, strict=True))
    yield "</tr></thead>\n<tbody>"
    for row in table.rows:
        cells = "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        yield f"<tr>{cells}</tr>"
    yield "</tbody>\n</table></div>"


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")
