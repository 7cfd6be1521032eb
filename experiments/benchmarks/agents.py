"""Compare planners as agents, with the same model on the same tasks: success against seconds per decision.

One plan of 25 steps, all of them executed (protocol "paper"). CEM has the paper's 300 candidates and 30 iterations from
a wide start, the others have their own settings. So that times can be compared, tasks run one at a time and planners
one after another: run nothing else meanwhile. With fewer tasks than 128 the intervals are wide.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from wmcontrol import CEM, CMA, ICEM, MPPI, Gradient, Hybrid, Planner, PlanningAgent, RandomShooting, WorldModel
from wmcontrol.data import open_dataset
from wmcontrol.evaluation import AgentSpec, DatasetTasks, RandomTasks, Tasks, baselines, evaluate_agents, report
from wmcontrol.planners import fast

from .results import command, whole

PLANNERS: Mapping[str, Planner] = {
    "cem": CEM(std=2.0),
    "fast": fast(),
    "icem": ICEM(),
    "mppi": MPPI(),
    "gradient": Gradient(),
    "hybrid": Hybrid(),
    "cma": CMA(),
    "random_shooting": RandomShooting(),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = command("agents", __doc__)
    parser.add_argument("--model", default="wall", help="world model: a folder, or the name of a packaged one")
    parser.add_argument("--device", default="cpu", help="where it works")
    parser.add_argument("--env", default="wmcontrol/Wall-v0", help="environment, which draws starts and goals")
    parser.add_argument("--data", help="trajectories that the model never saw, whose starts and goals are the tasks")
    parser.add_argument("--num-tasks", type=whole, default=128, help="how many")
    parser.add_argument("--planners", nargs="+", choices=PLANNERS, default=list(PLANNERS), help="which")
    parser.add_argument("--seed", type=int, default=0, help="of the tasks and the agents")
    args = parser.parse_args(argv)
    names = list(dict.fromkeys(args.planners))
    if "cma" in names and find_spec("cma") is None:
        names.remove("cma")
        print('cma is left out: pip install "wmcontrol[cma]"')

    model = WorldModel.load(args.model, device=args.device)
    tasks: Tasks = RandomTasks(args.env, args.num_tasks, seed=args.seed)
    if args.data is not None:
        steps = model.planning.context_steps
        tasks = DatasetTasks(open_dataset(args.data), args.num_tasks, seed=args.seed, context_steps=steps)
    specs = [AgentSpec(name, PlanningAgent.from_model(model, PLANNERS[name], seed=args.seed)) for name in names]
    # One task at a time, so that the time of a decision is that of one environment.
    rows = evaluate_agents(
        [*specs, *baselines(tasks)],
        tasks,
        "paper",
        args.out,
        seed=args.seed,
        batch=1,
        progress=lambda name, done, total: print(f"{name}: {done} of {total} tasks", end="\r", file=sys.stderr),
    )
    page = report(
        rows,
        args.out,
        title=f"{rows[0].env}: planners",
        about=[f"{name}: {PLANNERS[name]}" for name in names],
        pairs=[(name, "cem") for name in names if name != "cem" and "cem" in names],
        scatter=True,
    )
    print(*rows, page, sep="\n")


if __name__ == "__main__":
    main()
