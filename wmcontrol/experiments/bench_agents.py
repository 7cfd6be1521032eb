"""What ``wmcontrol bench agents`` does: planners on the same tasks, success against seconds per decision."""

import hashlib
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..evaluation import PROTOCOLS, baselines, report
from ..files import exclusive_lock
from .agents_from_keys import action_space_for, check_environment, load_model, planning
from .errors import UsageError
from .evaluate_job import in_a_line, settings_of
from .files import check_device
from .judging import evaluate_with_bars
from .planner_names import PLANNERS, make_planner, planner_settings
from .record import results_folder
from .tasks_from_keys import find_tasks


def compare_planners(config: Any) -> None:
    """Judge planners one after another; ``config`` is that of :mod:`.jobs.bench_agents`.

    Raises:
        UsageError: keys that do not go together, or a model that does not fit the tasks.
    """
    check_device(config.device)
    names = _planners(config.planners)
    protocol = PROTOCOLS["paper"]
    loaded = load_model(config.model, config.device, config.dtype)
    tasks = find_tasks(config, protocol, loaded.model.planning.context_steps if config.data is not None else 0)
    check_environment(loaded, tasks.env_id)
    specs = []
    for name in names:
        planner = make_planner(name, planner_settings(name, protocol, {}))
        specs.append(planning(loaded, planner, protocol, name=name, objective={}))
    everyone = [*specs, *baselines(action_space_for(specs[0].agent, tasks))]

    same = replace(config, planners=names, out=None)
    digest = hashlib.sha256(f"{same!r} {loaded.digest}".encode()).hexdigest()[:12]
    out = results_folder("bench agents", same, config.out or Path("outputs/bench_agents") / digest)
    with exclusive_lock(out):
        # One task at a time, so that the time of a decision is that of one environment.
        rows = evaluate_with_bars(everyone, tasks, protocol, out, seed=config.seed, batch=1)
        about = [f"{spec.name}: {in_a_line(settings_of(spec.agent)['planner'])}" for spec in specs]
        page = report(
            rows,
            out,
            title=f"{rows[0].env}: planners",
            about=[in_a_line(loaded.about), *about],
            pairs=[(name, "cem") for name in names if name != "cem"] if "cem" in names else (),
            scatter=True,
        )
    for row in rows:
        print(row)
    print(page)


def _planners(asked: list[str] | None) -> list[str]:
    """Return the names of the planners to compare: all that can run, unless some are asked for."""
    if find_spec("cma") is not None:
        return list(PLANNERS) if asked is None else asked
    if asked is not None and "cma" in asked:
        raise UsageError('planners: cma needs a package that is not installed: pip install "wmcontrol[cma]"')
    if asked is None:
        print('cma is left out, since it is not installed: pip install "wmcontrol[cma]"')
    return [name for name in PLANNERS if name != "cma"] if asked is None else asked
