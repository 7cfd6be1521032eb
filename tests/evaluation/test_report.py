"""Reports of evaluations that are known beforehand."""

import itertools
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from markdown_it import MarkdownIt

from wmcontrol.evaluation import (
    Evaluation,
    ResultRow,
    Video,
    difference,
    difference_over_seeds,
    paired_difference,
    planner_plot,
    report,
    seeds_and_tasks,
    wilson,
)
from wmcontrol.evaluation.reports import figures as drawing
from wmcontrol.evaluation.reports.report import json_text
from wmcontrol.evaluation.reports.tables import differences, ways_in_words

MODES = {"scratch": 0.5, "full": 0.75}


def evaluation(share: float, n: int = 16, **changes: Any) -> Evaluation:
    """The first share of the tasks is solved at the end, and one task more at some time."""
    header = {
        "format": 1,
        "tasks": {"tasks": "dataset", "num_tasks": n, "seed": 7, "goal_offset": 25, "digest": f"{n:064}"},
        "redrawn": {"solved": 3, "refused": 0},
        "protocol": {"name": "paper", "budget": changes.get("budget", 25), "replan_every": 25, "horizon": 5},
        "seed": 11,
        "batch": 16,
        "about": changes.get("about", {}),
    }
    solved = round(share * n)
    records = [
        {
            "task": i,
            "success_end": i < solved,
            "success_any": i < solved + 1,
            "first_success": None,
            "start_distance": 9.0,
            "distance": changes.get("distance", float(i)),
            **({"angle": np.pi / 6} if changes.get("angle") else {}),
            "decisions": 2,
            "seconds": changes.get("seconds", 0.5),
            "memory": 2**20 * (i + 1),
        }
        for i in range(n)
    ]
    return Evaluation(header, tuple(records))


def table4(counts: Sequence[int] = (50,), envs: Sequence[str] = ("Wall", "PushT")) -> list[ResultRow]:
    rows = []
    for env in envs:
        rows.append(ResultRow(env=env, agent="no-op", role="baseline", evaluation=evaluation(0)))
        for count in counts:
            for mode, share in MODES.items():
                rows.append(model(env, mode, count, evaluation(share)))
        rows.append(ResultRow(env=env, agent="true simulator", role="oracle", evaluation=evaluation(1, n=8)))
    return rows


def model(env: str, agent: str, count: int | None, evaluation: Evaluation) -> ResultRow:
    """A model that was trained on so many of 1,800 trajectories."""
    total = None if count is None else 1800
    trained: Any = {"num_train_trajectories": count, "all_train_trajectories": total}
    return ResultRow(env=env, agent=agent, evaluation=evaluation, **trained)


class Page(HTMLParser):
    """What a page is made of; a tag that is not closed in its turn fails."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "my picture.png"
    iio.imwrite(path, np.zeros((4, 4, 3), np.uint8))
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "episodes.mp4"
    iio.imwrite(path, np.zeros((3, 16, 16, 3), np.uint8), plugin="pyav", codec="libx264")
    return path


def test_the_page_holds_everything_and_refers_to_nothing_outside(tmp_path: Path, video: Path) -> None:
    nasty = "\"<script>alert(1)</script>&'>"
    rows = [*table4((5, 50)), ResultRow(env=nasty, agent=nasty, evaluation=evaluation(0.5, about={nasty: nasty}))]
    html = report(
        rows,
        tmp_path / "new" / "out",
        title=f"Title {nasty}",
        about=[f"About {nasty}", "and https://example.org/ in words"],
        pairs=[("full", "scratch"), (nasty, "full")],
        videos=[Video(f"Video {nasty}", video)],
        scatter=True,
    )
    assert html == tmp_path / "new" / "out" / "report.html"
    text = html.read_text()
    page = Page(text)
    names = [tag for tag, _ in page.tags]
    assert names.count("img") == 3  # success, labels and planners
    assert names.count("video") == 1
    assert names.count("table") == 2
    assert {"script", "link", "iframe"}.isdisjoint(names)
    assert "details" in names
    sources = [attributes[key] or "" for _, attributes in page.tags for key in ("src", "href") if key in attributes]
    assert len(sources) == 4
    assert all(re.match(r"data:(image/png|video/mp4);base64,[A-Za-z0-9+/=]+$", source) for source in sources)
    assert not any(key.startswith("on") or key == "srcset" for _, attributes in page.tags for key in attributes)
    assert "url(" not in text
    assert "@import" not in text
    (player,) = [attributes for tag, attributes in page.tags if tag == "video"]
    assert {"controls", "loop", "muted"} <= set(player)
    words = "".join(page.words)
    for part in ("Title", "About", "Video"):
        assert f"{part} {nasty}" in words
    assert "prefers-color-scheme: dark" in text
    assert '"digest"' in words  # the full settings
    assert "wmcontrol " in words
    assert "Not compared: " in words


def test_numbers_are_those_of_the_evaluations(tmp_path: Path) -> None:
    rows = table4()
    report(rows, tmp_path, title="t", pairs=[("full", "scratch")])
    found = json.loads((tmp_path / "report.json").read_text())
    by_name = {(row["env"], row["agent"]): row for row in found["rows"]}
    assert len(by_name) == len(rows) == 8
    full = by_name["Wall", "full"]
    assert full["num_train_trajectories"] == 50
    assert full["tasks"] == 16
    assert full["success_end"] == vars(wilson(12, 16))
    assert full["success_any"] == vars(wilson(13, 16))
    assert full["median_distance"] == 7.5
    assert full["decisions"] == 32
    assert by_name["Wall", "true simulator"]["tasks"] == 8
    pairs = [True] * 8 + [True] * 4 + [False] * 4, [True] * 8 + [False] * 8
    (first, second) = found["differences"]
    assert (first["env"], second["env"]) == ("Wall", "PushT")
    assert first["end"] == vars(paired_difference(*pairs))
    assert first["tasks"] == 16
    assert found["settings"][0]["protocol"]["budget"] == 25
    assert {"wmcontrol", "torch", "python"} == set(found["versions"])
    table = (tmp_path / "report.md").read_text()
    assert "| Wall | 50 | full | 1 | 16 | 75.0 % [50.5, 89.8] | 81.2 % [57.0, 93.4] | 7.5 | 0.25 | 16 MiB |" in table
    assert "| Wall | 50 | full − scratch | 1 | 16 | +25.0 [" in table
    assert "of the machine that this ran on" in table
    assert "protocol paper (budget 25, replan_every 25, horizon 5)" in table
    assert "redrawn: 3 solved, 0 refused" in table


def test_rows_of_several_training_seeds_are_one_row_with_an_interval_of_seeds_and_tasks(tmp_path: Path) -> None:
    shares = {"full": (0.5, 0.75, 1.0), "scratch": (0.25, 0.25, 0.5)}
    joined = {name: [evaluation(share) for share in each] for name, each in shares.items()}
    rows = [
        ResultRow(env="Wall", agent=n, evaluation=Evaluation.over_seeds(e), num_train_trajectories=50)
        for n, e in joined.items()
    ]
    rows.append(ResultRow(env="Wall", agent="random actions", role="baseline", evaluation=evaluation(0)))
    report(rows, tmp_path, title="t", pairs=[("full", "scratch")])
    found = json.loads((tmp_path / "report.json").read_text())
    full, _ = (row for row in found["rows"] if row["num_train_trajectories"] == 50)
    assert (full["training_seeds"], full["tasks"], full["success_end_by_seed"]) == (3, 16, [0.5, 0.75, 1.0])
    by_seed = {name: [e.successes() for e in each] for name, each in joined.items()}
    assert full["success_end"] == vars(seeds_and_tasks(by_seed["full"]))
    assert full["success_end"]["value"] == 0.75
    (pair,) = found["differences"]
    assert pair["end"] == vars(difference_over_seeds(by_seed["full"], by_seed["scratch"]))
    assert (pair["training_seeds"], pair["tasks"]) == (3, 16)
    assert "| Wall | – | random actions | – | 16 |" in (tmp_path / "report.md").read_text()


def test_evaluations_of_other_tasks_are_not_joined_nor_compared() -> None:
    with pytest.raises(ValueError, match="tasks"):
        Evaluation.over_seeds([evaluation(0.5), evaluation(0.5, n=8)])
    with pytest.raises(ValueError, match="protocol"):
        Evaluation.over_seeds([evaluation(0.5), evaluation(0.5, budget=50)])
    with pytest.raises(ValueError, match="none"):
        Evaluation.over_seeds([])
    with pytest.raises(ValueError, match="seeds"):
        difference(Evaluation.over_seeds([evaluation(0.5)] * 2), evaluation(0.5))


def test_the_same_results_give_the_same_json_whatever_the_time_they_took(tmp_path: Path) -> None:
    one, other = ([ResultRow(env="Wall", agent="full", evaluation=evaluation(0.5, seconds=s))] for s in (0.5, 3.0))
    texts, times = [], []
    for rows in (one, one, other):
        report(rows, tmp_path, title="t")
        texts.append((tmp_path / "report.json").read_text())
        times.append(json.loads((tmp_path / "times.json").read_text())["rows"][0])
    assert texts[0] == texts[1] == texts[2]
    assert "seconds_per_decision" not in texts[0]
    assert [t["seconds_per_decision"] for t in times] == [0.25, 0.25, 1.5]
    assert times[0]["peak_memory_bytes"] == 16 * 2**20


def test_json_has_no_numbers_that_are_none(tmp_path: Path) -> None:
    odd = evaluation(0.5, distance=float("nan"), about={"weight": float("inf"), "rates": [float("nan"), 1.5]})
    report([ResultRow(env="Wall", agent="full", evaluation=odd)], tmp_path, title="t")

    def refuse(word: str) -> None:
        pytest.fail(f"{word} is no JSON")

    found = json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    assert found["rows"][0]["median_distance"] is None
    assert found["settings"][0]["about"] == {"weight": "inf", "rates": ["nan", 1.5]}
    assert json_text({"a": (1, 2)}) == json_text({"a": [1, 2]})


def test_push_t_has_an_angle_beside_its_distance(tmp_path: Path) -> None:
    report([ResultRow(env="PushT", agent="full", evaluation=evaluation(0.5, angle=True))], tmp_path, title="t")
    assert "| 7.5, 30° |" in (tmp_path / "report.md").read_text()
    assert json.loads((tmp_path / "report.json").read_text())["rows"][0]["median_angle"] == pytest.approx(np.pi / 6)


def test_what_cannot_be_compared_is_left_out_with_a_reason() -> None:
    rows = [
        *table4((5, 50), envs=("Wall",)),
        model("Wall", "action_only", 5, evaluation(0.5, budget=50)),
        model("PushT", "full", 5, evaluation(0.5)),
    ]
    pairs = [("full", "scratch"), ("full", "no-op"), ("full", "true simulator"), ("full", "action_only")]
    found, left_out = differences(rows, pairs)
    assert [(d.trained_on, d.first, d.second) for d in found] == [
        ("5", "full", "scratch"),
        ("50", "full", "scratch"),
        ("5", "full", "no-op"),  # what was not trained is compared with each
        ("50", "full", "no-op"),
    ]
    assert found[0].end == difference(rows[2].evaluation, rows[1].evaluation)
    assert left_out == [
        "PushT, trained on 5: full − scratch: scratch not evaluated",
        "PushT, trained on 5: full − no-op: no-op not evaluated",
        "Wall, trained on 5: full − true simulator: they did different numbers of tasks, 16 and 8",
        "Wall, trained on 50: full − true simulator: they did different numbers of tasks, 16 and 8",
        "PushT, trained on 5: full − true simulator: true simulator not evaluated",
        "Wall, trained on 5: full − action_only: the budgets differ: 25 and 50 steps",
        "Wall, trained on 50: full − action_only: action_only not evaluated",
        "PushT, trained on 5: full − action_only: action_only not evaluated",
    ]
    names = {"no-op": "baseline", "random actions": "baseline", "other": "model"}
    three = [ResultRow(env="Wall", agent=n, role=r, evaluation=evaluation(0.5)) for n, r in names.items()]  # type: ignore[arg-type]
    found, _ = differences(three, [("no-op", "random actions"), ("other", "no-op")])
    assert [d.trained_on for d in found] == ["–", "–"]


def test_training_trajectories_are_told_in_words() -> None:
    rows = [model("Wall", "full", count, evaluation(0.5)) for count in (1800, 1000, None)]
    assert [row.trained_on for row in rows] == ["all (1,800)", "1,000", "–"]


def test_figures_are_drawn_where_there_is_something_to_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report(table4((5, 50, 1800)), tmp_path, title="t", scatter=True)
    figures = {"success.png", "trajectories.png", "planners.png"}
    assert figures < {path.name for path in tmp_path.iterdir()}
    for name in figures:
        assert len(np.unique(iio.imread(tmp_path / name).reshape(-1, 4), axis=0)) > 20
    report(table4((50,)), tmp_path, title="t")
    assert figures & {path.name for path in tmp_path.iterdir()} == {"success.png"}  # no others of the report before
    assert "trajectories.png" not in (tmp_path / "report.md").read_text()


def test_lines_and_bars_are_where_the_numbers_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(drawing, "_save", lambda figure, path: drawn.append(figure))
    rows = table4((5, 50, 1800))
    drawing.success_plot(rows, tmp_path / "a.png")
    drawing.trajectories_plot(rows, tmp_path / "b.png")
    bars, lines = drawn
    assert [axes.get_title() for axes in bars.axes] == ["Wall", "PushT"]
    widths = [patch.get_width() for patch in bars.axes[0].patches]
    assert widths == [0, *(MODES.values()), *(MODES.values()), *(MODES.values()), 1]
    hatches = [patch.get_hatch() for patch in bars.axes[0].patches]
    assert hatches[0]
    assert not any(hatches[1:])
    assert [text.get_text() for text in bars.axes[0].get_yticklabels()][-1] == "true simulator (n = 8)"
    axes = lines.axes[0]
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["5", "50", "all\n(1,800)"]
    assert [container.get_label() for container in axes.containers] == list(MODES)
    for container, share in zip(axes.containers, MODES.values(), strict=True):
        np.testing.assert_allclose(container.lines[0].get_ydata(orig=False), [share] * 3)
    assert [text.get_text() for text in lines.legends[0].get_texts()] == [*MODES, "no-op", "true simulator"]


def test_a_plot_of_planners_needs_a_planner(tmp_path: Path) -> None:
    rows = [ResultRow(env="Wall", agent=f"planner {i}", evaluation=evaluation(0.9, seconds=0.01)) for i in range(9)]
    planner_plot(rows, tmp_path / "planners.png")
    assert (tmp_path / "planners.png").stat().st_size > 5000
    with pytest.raises(ValueError, match="none of the rows is a planner's"):
        planner_plot(
            [ResultRow(env="Wall", agent="no-op", role="baseline", evaluation=evaluation(0))], tmp_path / "none.png"
        )
    assert not (tmp_path / "none.png").exists()


def test_all_planners_are_named_inside_the_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(drawing, "_save", lambda figure, path: drawn.append(figure))
    names = [f"planner number {i}" for i in range(8)]
    planner_plot([ResultRow(env="Wall", agent=name, evaluation=evaluation(0.9)) for name in names], tmp_path / "p.png")
    (figure,) = drawn
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == names
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


def test_how_agents_were_evaluated_is_said_once_for_all_alike() -> None:
    said = ways_in_words(table4((50,), envs=("Wall",)))
    assert len(said) == 2
    assert said[0].startswith("Wall: 16 tasks from trajectories (seed 7, goals 25 steps ahead); digest 000")
    assert said[0].endswith("agents' seed 11. Evaluated so: no-op · scratch, 50 · full, 50.")
    assert said[1].endswith("Evaluated so: true simulator.")


def test_mistakes_are_told_before_anything_is_written(tmp_path: Path, picture: Path, video: Path) -> None:
    good, out = table4(), tmp_path / "out"
    nobody: Any = "full"
    for rows, error, says in (
        ([], ValueError, "at least one evaluation"),
        ([nobody], TypeError, "a report is made of ResultRow"),
        ([good[0], good[0]], ValueError, "no-op in Wall is there twice"),
        ([good[1], good[1]], ValueError, "scratch, 50 in Wall is there twice"),
        ([ResultRow(env="Wall", agent="full", evaluation=Evaluation({}, ()))], ValueError, "results of no tasks"),
    ):
        with pytest.raises(error, match=says):
            report(rows, out, title="t")
    for words, error, says in (
        ({"title": " "}, ValueError, "needs a title"),
        ({"about": "a text"}, TypeError, "list of paragraphs"),
        ({"pairs": [("full", "full")]}, ValueError, "names of two agents"),
        ({"pairs": [("full",)]}, ValueError, "names of two agents"),
        ({"videos": [Video("v", tmp_path / "none.mp4")]}, OSError, r"none\.mp4"),
        ({"videos": [Video("v", picture)]}, ValueError, r"my picture\.png is not a MP4 file"),
    ):
        settings: Any = {"title": "t", **words}
        with pytest.raises(error, match=says):
            report(good, out, **settings)
    assert not out.exists()


@pytest.mark.parametrize(
    "name",
    [
        "<b>x</b> & &amp;",
        "*a* _b_ __c__ `d` ~~e~~",
        "[a](b) ![c](d) [e]: f",
        "# a",
        "- a",
        "1. a",
        "2) a",
        "> a",
        "a\\b\\",
    ]
    + ["a|b", "a\n\nb", "action_only", "$x$ $$y$$", "---", "===", "+ a", "12", "https://example.org/_a_"],
)
def test_names_stand_in_markdown_as_they_are(name: str, tmp_path: Path) -> None:
    rows = [ResultRow(env="Wall", agent=agent, evaluation=evaluation(0.5)) for agent in (name, "other")]
    report(rows, tmp_path, title=name, about=[name], pairs=[(name, "other")])
    tokens = MarkdownIt().enable(["table", "strikethrough"]).parse((tmp_path / "report.md").read_text())
    places = {"heading_open": [], "paragraph_open": [], "td_open": []}
    for opened, inside in itertools.pairwise(tokens):
        if opened.type in places:
            assert all(part.type in ("text", "text_special", "softbreak", "image") for part in inside.children or ())
            places[opened.type].append("".join(part.content for part in inside.children or ()))
    expected = " ".join(name.split())
    assert all(expected in found for found in places.values())


def test_bars_in_names_do_not_break_tables_and_files_beside_are_linked(tmp_path: Path, video: Path) -> None:
    row = ResultRow(env="Wall", agent="a|b\nc", evaluation=evaluation(0.5))
    out = tmp_path / "out"
    report([row], out, title="t", videos=[Video("v", video)])
    text = (out / "report.md").read_text()
    assert "| a\\|b c |" in text
    assert "](<success.png>)" in text
    assert "[v](<../episodes.mp4>)" in text
