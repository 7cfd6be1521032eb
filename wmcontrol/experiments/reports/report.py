"""A folder that tells what evaluations found: for readers, and for programs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..files import folder_to_save_in, whole_file
from .differences import differences
from .figures import has_label_counts, labels_plot, success_plot
from .judged import Judged
from .markdown import markdown
from .page import Section, Video, page
from .planners import planner_plot
from .rows import check_rows
from .settings import as_text, full_settings, in_words, versions
from .style import literal
from .tables import difference_numbers, difference_table, row_numbers, row_times, success_table

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
    "Success at the end of the budget with 95 % intervals. Hatched: floors, which do not plan. Dashed outline: the "
    "same planner with the true simulator as its model. Upright marks: success at any time."
)
_LABELS = "Success against the number of labelled trajectories, with 95 % intervals. Grey and black lines: see legend."
_PLANNERS = (
    "Success against seconds per decision, with 95 % intervals; to the upper left is better. The axis may not begin at "
    "zero."
)


def save_report(
    judged: Sequence[Judged],
    out: Path,
    *,
    title: str,
    about: Sequence[str] = (),
    passing: Sequence[str] = (),
    pairs: Sequence[tuple[str, str]] = (),
    videos: Sequence[Video] = (),
    pictures: Sequence[tuple[str, Path]] = (),
    scatter: bool = False,
) -> Path:
    """Save a report of evaluations in a folder.

    There are ``report.html``, one file that opens offline; ``report.md``; ``report.json``, which the same seeds give
    again, number for number; ``times.json``, which they do not; and the figures ``success.png``, ``labels.png`` (where
    a model was judged with several numbers of labelled trajectories) and ``planners.png`` (if asked for).

    Args:
        judged: the rows, in their order.
        out: the folder; it is made if need be.
        title: of the report.
        about: paragraphs for readers, below the title.
        passing: more of them, that the same seeds do not give again, as how long it took; not in ``report.json``.
        pairs: names of agents whose difference in success is of interest, (first, second); the first less the second,
            in each environment and for each number of labelled trajectories. Pairs that cannot be compared are named.
        videos: of episodes.
        pictures: more pictures, each with its caption, PNG files.
        scatter: whether to plot success against seconds per decision.

    Returns:
        ``out/report.html``.

    Raises:
        TypeError, ValueError: rows of which no report can be made, or files that are not PNG or MP4.
        OSError: a picture or a video cannot be read.
        UsageError: nothing can be saved in ``out``.
    """
    out = Path(out)
    if not isinstance(title, str) or not title.strip():
        raise ValueError(f"a report needs a title, got {title!r}")
    if isinstance(about, str):
        raise TypeError(f"about must be a list of paragraphs, got the text {about!r}; put it in brackets")
    check_rows(judged)
    for pair in pairs:
        if len(pair) != 2 or pair[0] == pair[1]:
            raise ValueError(f"pairs must be of the names of two agents, got {pair!r}")
    for _, path in pictures:
        _check_begins(path, 0, b"\x89PNG\r\n\x1a\n", "PNG")
    for video in videos:
        _check_begins(video.path, 4, b"ftyp", "MP4")
    folder_to_save_in(out)

    figures = _draw(judged, out, scatter)
    found, left_out = differences(judged, pairs)
    sections = [Section("Success", (_SUCCESS_NOTE,), success_table(judged), pictures=figures)]
    if found or left_out:
        table = difference_table(found) if found else None
        unknown = [f"Not compared: {reason}." for reason in left_out]
        sections.append(Section("Differences", (_DIFFERENCE_NOTE,), table, unknown))
    if pictures:
        sections.append(Section("Pictures", pictures=pictures))
    if videos:
        sections.append(Section("Episodes", videos=videos))
    made_with = ", ".join(f"{name} {number}" for name, number in versions().items())
    sections.append(Section("How it was judged", points=[*in_words(judged), f"Made with {made_with}."]))

    settings, told = full_settings(judged), [*about, *passing]
    numbers = {
        "title": title,
        "about": list(about),
        "rows": [row_numbers(row) for row in judged],
        "differences": [difference_numbers(d) for d in found],
        "not_compared": left_out,
        "settings": settings,
        "versions": versions(),
    }
    texts = {
        "report.json": as_text(numbers),
        "times.json": as_text({"rows": [row_times(row) for row in judged]}),
        "report.md": markdown(title, told, sections, out),
        "report.html": page(
            title, [*about, *passing], sections, as_text({"settings": settings, "versions": versions()})
        ),
    }
    for name, text in texts.items():
        with whole_file(out / name) as file:
            file.write_text(text, encoding="utf-8")
    return out / "report.html"


def _draw(judged: Sequence[Judged], out: Path, scatter: bool) -> list[tuple[str, Path]]:
    """Draw the figures that these rows can have, and take away those of an earlier report that they cannot."""
    plots = (
        ("success.png", _SUCCESS, success_plot, True),
        ("labels.png", _LABELS, labels_plot, has_label_counts(judged)),
        ("planners.png", _PLANNERS, planner_plot, scatter),
    )
    drawn = [replace(row, env=literal(row.env), agent=literal(row.agent)) for row in judged]
    for name, _, draw, wanted in plots:
        if wanted:
            draw(drawn, out / name)
        else:
            (out / name).unlink(missing_ok=True)
    return [(caption, out / name) for name, caption, _, wanted in plots if wanted]


def _check_begins(path: Path, place: int, expected: bytes, kind: str) -> None:
    with Path(path).open("rb") as file:
        begin = file.read(place + len(expected))
    if begin[place:] != expected:
        raise ValueError(f"{path} is not a {kind} file; a report that opens everywhere takes only these")
