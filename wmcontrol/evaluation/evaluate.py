"""Evaluating agents on tasks: one, several on the same, and one beside the baselines with a report."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..checks import check_whole
from ..engine import run_parallel
from ..envs.contract import image_size
from ..trackers import Tracker
from .episodes import check, make_env, run, task_seed
from .protocols import Protocol, protocol_named
from .records import Records, recording
from .reports.film import film
from .reports.report import Video, report
from .result import Evaluation, ResultRow, env_label
from .specs import AgentSpec, ablations, baselines, describe
from .tasks import Tasks


def evaluate(
    agent: Any,
    tasks: Tasks,
    protocol: Protocol | str = "paper",
    *,
    file: str | os.PathLike[str] | None = None,
    seed: int = 0,
    batch: int = 16,
    jobs: int = 1,
    imports: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Run an agent on tasks, each for the whole budget, and count.

    Tasks run side by side in batches that are always the same, and an agent with a method ``start`` gets a seed for
    each task. So a run that was killed and is started again with the same file gives the same report, number for
    number (and does again only the batch that it was killed in).

    Args:
        agent: whatever has the ``predict`` of Stable-Baselines3. A policy that it has trained is shown the part of the
            observation that it was trained on, normalised by the ``VecNormalize`` that it carries. What an agent says
            of itself must fit the tasks' environment: ``action_space`` or ``action_bounds``, ``observation_space``,
            ``control_rate``, and the environment that it learns in (``get_env``).
        tasks: what to do, and where.
        protocol: a name, one of ``PROTOCOLS``, or one of your own. The number of tasks is that of ``tasks``.
        file: where each task becomes a line of JSON; a file that is begun is gone on with.
        seed: of the agent's random numbers.
        batch: how many tasks run side by side in one process.
        jobs: how many batches run at once, each in a process of its own, with one thread; agent and tasks are pickled.
            The results are the same for any number, and what is finished is in the file. A script that uses this must
            do so under ``if __name__ == "__main__":``.
        imports: modules that register the environment or parts of the agent, which these processes import first.
        about: what else a reader of the file should know, as JSON can write it; part of what a begun file must agree
            with, so name the model and the planner.
        progress: is told how many tasks are done, of how many.

    Raises:
        TypeError, ValueError: what does not fit, before work starts; a file of another evaluation.
        OSError: the file cannot be written, or another process is writing it.
    """
    given = _Settings(tasks, protocol_named(protocol), seed, batch, jobs, imports)
    with given.begin(agent, file, about or {}) as records:
        return given.run(agent, records, progress)


@dataclass(frozen=True)
class _Settings:
    """How agents are evaluated: arguments of :func:`evaluate`."""

    tasks: Tasks
    protocol: Protocol
    seed: int
    batch: int
    jobs: int
    imports: Sequence[str]

    @contextmanager
    def begin(self, agent: Any, file: str | os.PathLike[str] | None, about: Mapping[str, Any]) -> Iterator[Records]:
        """Hold the file of an agent's results; refuse what does not fit."""
        check(agent, self.tasks, self.protocol, seed=self.seed, batch=self.batch, jobs=self.jobs)
        described, ahead = self.tasks.describe(), self.protocol.goal_offset
        if described.get("goal_offset", ahead) != ahead:
            raise ValueError(f"the protocol {self.protocol.name} has goals {ahead} steps ahead, not {described}")
        header = {
            "tasks": described,
            "redrawn": dict(self.tasks.redrawn),
            "protocol": self.protocol.as_dict(),
            "seed": self.seed,
            "batch": self.batch,
            "about": dict(about),
        }
        with recording(file, header) as records:
            yield records

    def run(self, agent: Any, records: Records, progress: Callable[[int, int], None] | None) -> Evaluation:
        """Do the tasks that are not done yet."""
        records.add()
        total = len(self.tasks.tasks)
        batches = [range(begin, min(begin + self.batch, total)) for begin in range(0, total, self.batch)]
        todo = [numbers for numbers in batches if not all(number in records.lines for number in numbers)]
        size, seed, budget = image_size(agent), self.seed, self.protocol.budget
        work = partial(_run_batch, agent=agent, tasks=self.tasks, size=size, seed=seed, budget=budget)

        def keep(found: list[dict[str, Any]]) -> None:
            records.add(found)
            if progress is not None:
                progress(len(records.lines), total)

        if records.lines:
            keep([])
        if self.jobs == 1:
            for numbers in todo:
                keep(work(numbers))
        else:
            run_parallel(
                work,
                todo,
                jobs=self.jobs,
                imports=self.imports,
                name=lambda numbers: f"tasks {numbers[0]} to {numbers[-1]}",
                on_result=lambda _, found: keep(found),
            )
        return Evaluation(records.header, tuple(records.lines[number] for number in range(total)))


def _run_batch(
    numbers: range, *, agent: Any, tasks: Tasks, size: int | None, seed: int, budget: int
) -> list[dict[str, Any]]:
    """Run the tasks of these numbers, and return a record for each."""
    chosen = [tasks.tasks[number] for number in numbers]
    with closing(make_env(tasks.env_id, len(chosen), tasks.env_settings, size)) as env:
        found = run(env, agent, chosen, [task_seed(seed, number) for number in numbers], budget)
    return [{"task": number, **record} for number, record in zip(numbers, found, strict=True)]


def evaluate_agents(
    specs: Sequence[AgentSpec],
    tasks: Tasks,
    protocol: Protocol | str = "paper",
    folder: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    batch: int = 16,
    jobs: int = 1,
    imports: Sequence[str] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> list[ResultRow]:
    """Evaluate agents one after another on the same tasks; what is in the folder already is not done again.

    Args:
        specs: the agents.
        tasks: what to do, and where.
        protocol: see :func:`evaluate`; so are ``seed``, ``batch``, ``jobs`` and ``imports``.
        folder: where their files lie, a line of JSON for each task; it is made if need be. None: nothing is written.
        seed: of the agents' random numbers.
        batch: how many tasks run side by side in one process.
        jobs: how many batches run at once.
        imports: modules that the processes of ``jobs`` import first.
        progress: is told an agent's name, how many of its tasks are done, and of how many.

    Returns:
        A row for each agent, for :func:`~.reports.report`.

    Raises:
        TypeError, ValueError: what does not fit; two agents of one name; a file in the folder that is of another agent,
            as of a model that was trained anew since. It is raised before work starts.
        OSError: a file cannot be written.
    """
    given = _Settings(tasks, protocol_named(protocol), seed, batch, jobs, imports)
    names = [spec.results for spec in specs]
    for spec in specs:
        if names.count(spec.results) > 1:
            raise ValueError(f"{spec.results} would hold the results of two agents; give {spec.name!r} another name")
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
    rows = []
    with ExitStack() as stack:
        begun = []
        for spec in specs:  # all of them, before any is run
            file = None if folder is None else Path(folder) / spec.results
            about = {**spec.about, "agent": describe(spec.agent)}
            begun.append(stack.enter_context(given.begin(spec.agent, file, about)))
        for spec, records in zip(specs, begun, strict=True):
            evaluation = given.run(spec.agent, records, progress and partial(progress, spec.name))
            rows.append(ResultRow(env=env_label(tasks.env_id), agent=spec.name, evaluation=evaluation, role=spec.role))
    return rows


def evaluate_and_report(
    spec: AgentSpec,
    tasks: Tasks,
    protocol: Protocol | str,
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    batch: int = 16,
    jobs: int = 1,
    imports: Sequence[str] = (),
    videos: int = 0,
    tracker: Tracker | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[list[ResultRow], Path]:
    """Evaluate an agent beside the baselines, film its first episodes, and save a report of it.

    Among the baselines are its :func:`ablations`, if it has any. A call that was stopped goes on when it is made again;
    a finished one only reports anew.

    Args:
        spec: the agent; a baseline is compared with the other one. Its results are in ``tasks.jsonl``.
        tasks: see :func:`evaluate_agents`; so are ``protocol``, ``seed``, ``batch``, ``jobs``, ``imports`` and
            ``progress``.
        protocol: how.
        folder: for all of it; it is made if need be.
        seed: of the agents' random numbers. For example 1.
        batch: tasks that run side by side in one process. For example 32.
        jobs: processes that share the tasks, with a thread each; numbers are the same for any. For example 4.
        imports: modules that these processes import first.
        videos: how many episodes are filmed, at most. For example 0.
        tracker: is told what is in the report.
        progress: is told an agent's name (or ``"filming"``), how many of its tasks are done, and of how many.

    Returns:
        A row for each agent, the one asked for first; and the page, ``report.html`` in ``folder``.

    Raises:
        TypeError, ValueError, OSError: as of :func:`evaluate_agents`.
    """
    check_whole("videos", videos, least=0)
    protocol, folder = protocol_named(protocol), Path(folder)
    others = [*ablations(spec), *baselines(tasks)]
    specs = [replace(spec, file="tasks.jsonl"), *(other for other in others if other.name != spec.name)]
    how: dict[str, Any] = {"seed": seed, "batch": batch, "jobs": jobs, "imports": imports}
    rows = evaluate_agents(specs, tasks, protocol, folder, **how, progress=progress)
    films = []
    count = min(videos, len(tasks.tasks))
    if count > 0:
        path = folder / f"episodes_{count}.mp4"
        if not path.exists():  # it is whole if it is there, and would show the same
            if progress is not None:
                progress("filming", 0, count)
            film(spec.agent, tasks, protocol, path, num_episodes=count, seed=seed, title=spec.name)
        solved = ["solved" if success else "not solved" for success in rows[0].evaluation.successes()[:count]]
        films.append(Video(f"{spec.name}, the first tasks: {', '.join(solved)}", path))
    left_out = {"type", "model", "policy"}
    left_out |= set() if getattr(spec.agent, "prior", None) else {"num_proposals"}
    left_out |= set() if getattr(spec.agent, "searches_noise", False) else {"search_space"}
    told = {name: value for name, value in describe(spec.agent).items() if name not in left_out}
    page = report(
        rows,
        folder,
        title=f"{rows[0].env}: {spec.name}",
        about=[f"{spec.name}: {_in_words({**spec.about, **told}, '; ')}."],
        pairs=[(spec.name, row.agent) for row in rows[1:]] if spec.role != "baseline" else (),
        videos=films,
        tracker=tracker,
    )
    return rows, page


def _in_words(about: Mapping[str, Any], between: str) -> str:
    parts = {n: f"({_in_words(v, ', ')})" if isinstance(v, Mapping) else v for n, v in about.items()}
    return between.join(f"{name} {value}" for name, value in parts.items())
