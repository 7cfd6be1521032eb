"""A folder that tells what evaluations found: for readers, and for programs."""

import base64
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from ...files import atomic_write
from ...trackers import Tracker
from ..result import ResultRow
from .figures import has_train_counts, literal, planner_plot, success_plot, trajectories_plot
from .tables import (
    Difference,
    check_rows,
    difference_table,
    differences,
    row_key,
    row_numbers,
    success_table,
    ways_in_words,
)

_SUCCESS_NOTE = (
    "Success with 95 % intervals: Wilson's over tasks; where a row has several training seeds, over seeds and tasks as "
    "crossed random effects. Median distance to the goal at the end, in the environment's units (for Push-T also the "
    "median angle of the block). Seconds and memory are of the machine that this ran on; memory is the "
    "process's peak so far, so that rows of one process never fall."
)
_DIFFERENCE_NOTE = (
    "Percentage points, on the same tasks, with 95 % intervals for pairs (Newcombe 1998, method 10; with several "
    "training seeds, over seeds and tasks as crossed random effects). Positive: the first is better."
)
_SUCCESS = (
    "Success at the end of the budget with 95 % intervals. Hatched: what it is compared with. Dashed "
    "outline: the oracle, the same planner with the true simulator as its model. Upright marks: success at any time."
)
_TRAJECTORIES = (
    "Success against the number of trajectories trained on, with 95 % intervals. Grey and black lines: see legend."
)
_PLANNERS = (
    "Success against seconds per decision, with 95 % intervals; to the upper left is better. The axis may not begin at "
    "zero."
)

# What makes of a text in Markdown something else: code, emphasis, cells, tags, entities, formulas, links.
_SPECIAL = r"[\\`*|<~$]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])"
_BEGINS = r"^(\d*)([#>]|[-+=](?=[\s=-]|$)|(?<=\d)[.)](?=\s|$))"  # headings, lists, quotations


@dataclass(frozen=True)
class Video:
    """A video, an MP4 file that browsers play, and what stands below it."""

    caption: str
    path: str | os.PathLike[str]


def report(
    rows: Sequence[ResultRow],
    folder: str | os.PathLike[str],
    *,
    title: str,
    about: Sequence[str] = (),
    run_notes: Sequence[str] = (),
    pairs: Sequence[tuple[str, str]] = (),
    videos: Sequence[Video] = (),
    scatter: bool = False,
    tracker: Tracker | None = None,
) -> Path:
    """Save a report of evaluations in a folder.

    There are ``report.html``, one file that opens offline and runs no code; ``report.md``; ``report.json``, which the
    same seeds give again, number for number; ``times.json``, which they do not; and the figures ``success.png``,
    ``trajectories.png`` (where a model was trained on several numbers of trajectories) and ``planners.png`` (if asked
    for).

    Args:
        rows: in their order; those of :func:`~wmcontrol.evaluation.evaluate_agents`, or your own.
        folder: it is made if need be.
        title: of the report.
        about: paragraphs for readers, below the title.
        run_notes: more of them, that the same seeds do not give again, as how long it took; not in ``report.json``.
        pairs: names of agents whose difference in success is of interest, (first, second); the first less the second,
            in each environment and for each number of trajectories. Pairs that cannot be compared are named.
        videos: of episodes.
        scatter: whether to plot success against seconds per decision.
        tracker: is told the tables, the videos, and success with its interval over the number of trajectories.

    Returns:
        ``folder/report.html``.

    Raises:
        TypeError, ValueError: rows of which no report can be made, or files that are not MP4.
        OSError: a video cannot be read, or nothing can be saved in ``folder``.
    """
    folder = Path(folder)
    if not isinstance(title, str) or not title.strip():
        raise ValueError(f"a report needs a title, got {title!r}")
    if isinstance(about, str):
        raise TypeError(f"about must be a list of paragraphs, got the text {about!r}; put it in brackets")
    check_rows(rows)
    for pair in pairs:
        if len(pair) != 2 or pair[0] == pair[1]:
            raise ValueError(f"pairs must be of the names of two agents, got {pair!r}")
    for video in videos:
        with Path(video.path).open("rb") as file:
            if file.read(8)[4:] != b"ftyp":
                raise ValueError(f"{video.path} is not a MP4 file; a report that opens everywhere takes only these")
    folder.mkdir(parents=True, exist_ok=True)

    found, left_out = differences(rows, pairs)
    versions = {**{name: version(name) for name in ("wmcontrol", "torch")}, "python": platform.python_version()}
    made_with = ", ".join(f"{name} {number}" for name, number in versions.items())
    sections: list[dict[str, Any]] = [
        {
            "heading": "Success",
            "paragraphs": [_SUCCESS_NOTE],
            "table": success_table(rows),
            "pictures": _draw(rows, folder, scatter),
        }
    ]
    if found or left_out:
        unknown = [f"Not compared: {reason}." for reason in left_out]
        table = difference_table(found)
        sections.append({"heading": "Differences", "paragraphs": [_DIFFERENCE_NOTE], "table": table, "points": unknown})
    if videos:
        sections.append({"heading": "Episodes", "videos": videos})
    sections.append({"heading": "Tasks and protocol", "points": [*ways_in_words(rows), f"Made with {made_with}."]})
    settings = {"settings": [{**row_key(row), **row.evaluation.header} for row in rows], "versions": versions}
    numbers = {
        "title": title,
        "about": list(about),
        "rows": [row_numbers(row) for row in rows],
        "differences": [each.numbers() for each in found],
        "not_compared": left_out,
        **settings,
    }
    times = [
        {
            **row_key(row),
            "seconds_per_decision": row.evaluation.seconds_per_decision,
            "peak_memory_bytes": row.evaluation.peak_memory,
        }
        for row in rows
    ]
    shown: dict[str, Any] = {
        "title": title,
        "about": [*about, *run_notes],
        "sections": sections,
        "settings": json_text(settings),
    }
    markdown = Environment(loader=_templates(), finalize=_in_markdown, trim_blocks=True)
    markdown.filters["link"] = lambda path: _link(path, folder)
    texts = {
        "report.json": json_text(numbers),
        "times.json": json_text({"rows": times}),
        "report.md": markdown.get_template("report.md.j2").render(shown),
        "report.html": html_page(**shown),
    }
    for name, text in texts.items():
        with atomic_write(folder / name) as file:
            file.write(text.encode())
    if tracker is not None:
        _tell(tracker, rows, found, videos)
    return folder / "report.html"


def html_page(title: str, about: Sequence[str], sections: Sequence[Mapping[str, Any]], settings: str) -> str:
    """Return a page that is one file, opens offline and runs no code.

    Args:
        title: of the page.
        about: paragraphs below it.
        sections: of each its ``heading`` and what there is of ``table`` (a row is a dict), ``paragraphs``, ``points``,
            ``pictures`` (a caption and the PNG file) and ``videos`` (:class:`Video`).
        settings: JSON that can be unfolded.
    """
    html = Environment(loader=_templates(), autoescape=True, trim_blocks=True, keep_trailing_newline=True)
    html.filters["base64"] = lambda path: Markup(base64.b64encode(Path(path).read_bytes()).decode("ascii"))
    page: str = html.get_template("report.html.j2").render(
        title=title, about=about, sections=sections, settings=settings
    )
    return page


def _templates() -> PackageLoader:
    return PackageLoader(__name__.rpartition(".")[0])


def _tell(tracker: Tracker, rows: Sequence[ResultRow], found: Sequence[Difference], videos: Sequence[Video]) -> None:
    for row in rows:
        for key, success in (("end", row.evaluation.success_end), ("any_time", row.evaluation.success_any)):
            numbers = {f"success_{key}/{row.env}/{row.agent}/{name}": x for name, x in vars(success).items()}
            tracker(row.num_train_trajectories or 0, numbers)
    tracker.table("success", success_table(rows))
    if found:
        tracker.table("differences", difference_table(found))
    for video in videos:
        tracker.film(Path(video.path).stem, Path(video.path))


def json_text(value: Any) -> str:
    """Write JSON that every reader of JSON can read: numbers that are not finite become words."""
    plain = json.loads(json.dumps(value), parse_constant=lambda word: str(float(word)))
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


def _draw(rows: Sequence[ResultRow], folder: Path, scatter: bool) -> list[tuple[str, Path]]:
    """Draw the figures that these rows can have, and take away those of an earlier report that they cannot."""
    plots = (
        ("success.png", _SUCCESS, success_plot, True),
        ("trajectories.png", _TRAJECTORIES, trajectories_plot, has_train_counts(rows)),
        ("planners.png", _PLANNERS, planner_plot, scatter),
    )
    drawn = [replace(row, env=literal(row.env), agent=literal(row.agent)) for row in rows]
    for name, _, draw, wanted in plots:
        if wanted:
            draw(drawn, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    return [(caption, folder / name) for name, caption, _, wanted in plots if wanted]


def _in_markdown(value: object) -> str:
    """Return a text in one line that stands as it is, be it the name of a file or of an agent."""
    if isinstance(value, Markup):
        return value
    line = re.sub(_SPECIAL, r"\\\g<0>", " ".join(str(value).split()))
    return re.sub(_BEGINS, r"\1\\\2", line)


def _link(path: str | os.PathLike[str], folder: Path) -> Markup:
    """Return a link for angle brackets, as seen from a folder."""
    link = Path(os.path.relpath(path, folder)).as_posix().replace("\n", "%0A")
    return Markup(re.sub(r"([\\<>])", r"\\\1", link))
