"""Evaluating an agent on tasks."""

import os
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import Any

from ..engine import run_parallel
from ..envs.contract import check_fits, image_size
from .episodes import check_protocol, make_env, run, task_seed
from .protocols import Protocol, protocol_named
from .records import recording
from .result import Evaluation
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
        about: what else a reader of the file should know, as JSON can write it; part of what a begun file must agree
            with, so name the model and the planner.
        progress: is told how many tasks are done, of how many.

    Raises:
        TypeError, ValueError: what does not fit, before work starts; a file of another evaluation.
        OSError: the file cannot be written, or another process is writing it.
    """
    protocol = protocol_named(protocol)
    for name, value, least in (("seed", seed, 0), ("batch", batch, 1), ("jobs", jobs, 1)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be a whole number from {least} up, got {value!r}")
    check_protocol(agent, protocol)
    header = header_of(tasks, protocol, seed, batch, about or {})
    size, total = image_size(agent), len(tasks.tasks)
    with closing(make_env(tasks.env_id, 1, tasks.env_settings, size)) as one:
        check_fits(agent, one)  # before a file is begun
    work = partial(_run_batch, agent=agent, tasks=tasks, size=size, seed=seed, budget=protocol.budget)
    with recording(file, header) as records:
        batches = [range(begin, min(begin + batch, total)) for begin in range(0, total, batch)]
        todo = [numbers for numbers in batches if not all(number in records.lines for number in numbers)]

        def keep(found: list[dict[str, Any]]) -> None:
            records.add(found)
            if progress is not None:
                progress(len(records.lines), total)

        if progress is not None and records.lines:
            progress(len(records.lines), total)
        if jobs == 1:
            for numbers in todo:
                keep(work(numbers))
        else:
            run_parallel(work, todo, jobs=jobs, name=_batch_name, on_result=lambda _, found: keep(found))
        return Evaluation(records.header, tuple(records.lines[number] for number in range(total)))


def _run_batch(
    numbers: range, *, agent: Any, tasks: Tasks, size: int | None, seed: int, budget: int
) -> list[dict[str, Any]]:
    """Run the tasks of these numbers, and return a record for each."""
    chosen = [tasks.tasks[number] for number in numbers]
    with closing(make_env(tasks.env_id, len(chosen), tasks.env_settings, size)) as env:
        found = run(env, agent, chosen, [task_seed(seed, number) for number in numbers], budget)
    return [{"task": number, **record} for number, record in zip(numbers, found, strict=True)]


def _batch_name(numbers: range) -> str:
    return f"tasks {numbers[0]} to {numbers[-1]}"


def header_of(tasks: Tasks, protocol: Protocol, seed: int, batch: int, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the file of an evaluation says of it.

    Raises:
        ValueError: the protocol's goals are not those of the tasks.
    """
    described = tasks.describe()
    if described.get("goal_offset", protocol.goal_offset) != protocol.goal_offset:
        raise ValueError(f"the protocol {protocol.name} has goals {protocol.goal_offset} steps ahead, not {described}")
    return {
        "tasks": described,
        "redrawn": dict(tasks.redrawn),
        "protocol": protocol.as_dict(),
        "seed": seed,
        "batch": batch,
        "about": dict(about),
    }
