"""The agent that plans over plans: from landmark to landmark to goals that one plan does not reach.

Letters: ``B`` environments, ``L`` landmarks, ``P`` patches of a frame, ``D`` numbers of a token.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..checks import number, whole
from ..models import Landmarks, StepsToGo
from ..models.landmarks import HERE, Floats
from .planning import PlanningAgent, check_reads_goal
from .state import EnvState, Route

_ARRIVED = 1.5  # model steps up to which a goal is reached, as far as can be told
_PROGRESS = 0.5  # model steps nearer that count as progress


@dataclass(frozen=True)
class HierarchicalAgent(PlanningAgent):
    """Plans towards goals that are beyond one plan: the next landmark on the shortest path there is the subgoal.

    Everything else is as of :class:`PlanningAgent`, which goes there. What it needs is in the model: ``steps_to_go``
    and ``landmarks`` (:func:`wmcontrol.training.fit_steps_to_go`). At each new plan it looks anew which landmark within
    one plan is best to go over. A goal within one plan it heads for itself, and stays with it. Edges on which it makes
    no progress are blocked until the episode ends. Where there is no path it plans straight for the goal.
    ``explain`` says the path.

    Args:
        patience: model steps without progress until the edge that is tried is blocked, while the goal is more than
            1.5 model steps away.
        leave: model steps beyond the landmarks' ``reach`` until a goal that was headed for is too far again.

    Raises:
        TypeError, ValueError: as of :class:`PlanningAgent`; or a model without steps to go or without landmarks.
    """

    patience: int = whole(4)
    leave: float = number(2.0, "[0, inf)")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self._world.steps_to_go is None or self._world.landmarks is None:
            other = "" if self._world.temporal_embedding is None else "; it can plan with agent=subgoals, SubgoalAgent"
            raise ValueError(f"this model has no landmarks; fit_steps_to_go gives it some{other}")
        steps_to_go, landmarks = self._map
        if landmarks.reach > steps_to_go.max_steps:
            raise ValueError(
                f"landmarks.reach must be at most {steps_to_go.max_steps}, as many steps as are told apart, got "
                f"{landmarks.reach:g}; fit_steps_to_go makes others"
            )
        check_reads_goal(self.objective)
        if self.goal_offset is not None:
            raise ValueError(f"goal_offset must be None: the model says when a goal is due; got {self.goal_offset}")

    @property
    def _kind(self) -> str:
        return f"{super()._kind} over {len(self._map[1].tokens)} landmarks"

    @property
    def _map(self) -> tuple[StepsToGo, Landmarks]:
        assert self._world.steps_to_go is not None
        assert self._world.landmarks is not None
        return self._world.steps_to_go, self._world.landmarks

    def _aim(self, envs: list[EnvState], waiting: Sequence[int]) -> None:
        """Decide what the next plans go to, a landmark or the goal, and when that is due."""
        if not waiting:
            return
        steps_to_go, landmarks = self._map
        for i in waiting:
            if envs[i].route is None:
                goal = envs[i].goal
                assert goal is not None
                last = landmarks.agreed(_numbers(steps_to_go.between(landmarks.tokens, goal[None])[:, 0]))
                route = Route(goal, last, *landmarks.paths_to(last), since=envs[i].step)
                envs[i] = replace(envs[i], route=route)
        now = torch.stack([envs[i].tokens[envs[i].step] for i in waiting])
        to_landmarks = landmarks.agreed(_numbers(steps_to_go.between(now, landmarks.tokens)))
        with torch.no_grad():
            direct = _numbers(steps_to_go(now, torch.stack([_route(envs[i]).goal for i in waiting])))
        for k, i in enumerate(waiting):
            envs[i] = self._headed(envs[i], float(direct[k]), to_landmarks[k])

    def _headed(self, env: EnvState, direct: float, to_landmarks: Floats) -> EnvState:
        """Return an environment with the next subgoal, or the goal, and when it is due."""
        _, landmarks = self._map
        route, goal = _route(env), len(to_landmarks)
        here = {int(to_landmarks.argmin()), *np.flatnonzero(to_landmarks <= HERE).tolist()}
        route = self._onwards(route, direct, to_landmarks, here)
        if route.steps < route.least - _PROGRESS:
            route = replace(route, least=route.steps, since=env.step)
        elif np.isfinite(route.steps) and env.step - route.since >= self.patience * self.model.frameskip:
            if direct > _ARRIVED:
                ends = {goal} if route.path[0] == goal else landmarks.around(route.path[0], HERE)
                blocked = route.blocked | {(start, end) for start in here for end in ends if start != end}
                if route.target == goal:  # then it is not within one plan, whatever landmarks around say
                    near = to_landmarks + route.last_steps <= landmarks.reach + self.leave
                    blocked |= {(int(start), goal) for start in np.flatnonzero(near)}
                distances, following = landmarks.paths_to(route.last_steps, blocked)
                route = replace(route, blocked=blocked, distances=distances, following=following, target=-1)
                route = self._onwards(route, direct, to_landmarks, here)
            route = replace(route, least=route.steps, since=env.step)
        before, frameskip = _route(env), self.model.frameskip
        due: int | None = env.step + max(1, round(route.hop)) * frameskip
        if route.target == goal and before.target == goal and np.isfinite(before.steps):
            due = env.due  # decided once, so that arriving is not put off
        elif np.isinf(route.steps):
            due = env.step  # nothing tells
        return replace(
            env, route=route, goal=route.goal if route.target == goal else landmarks.tokens[route.target], due=due
        )

    def _onwards(self, route: Route, direct: float, to_landmarks: Floats, here: set[int]) -> Route:
        """Return the route from where an environment is now: the shortest path, and how far along it to go next."""
        _, landmarks = self._map
        goal, closed = len(to_landmarks), {end for start, end in route.blocked if start in here}
        hops = np.append(np.where(to_landmarks <= landmarks.reach, to_landmarks, np.inf), direct)
        if direct > landmarks.reach:
            hops[goal] = np.inf
        hops[[*closed]] = np.inf
        totals = hops + np.append(route.distances, 0.0)
        first = int(totals.argmin())
        if np.isinf(totals[first]):
            return replace(route, path=(goal,), target=goal, steps=np.inf, direct=direct, hop=direct)
        path = [first]
        while path[-1] != goal:
            path.append(int(route.following[path[-1]]))
        total = float(totals[first])
        ahead = total - np.append(route.distances, 0.0)[path]  # steps to each landmark of the path
        near = landmarks.reach + (self.leave if route.target == goal else 0.0)
        last = len(path) - 1 if total <= near else max(0, int(np.searchsorted(ahead, landmarks.reach, "right")) - 1)
        return replace(route, path=tuple(path), target=path[last], steps=total, direct=direct, hop=float(ahead[last]))


def _route(env: EnvState) -> Route:
    assert env.route is not None
    return env.route


def _numbers(steps: torch.Tensor) -> Floats:
    found: Floats = steps.double().cpu().numpy()
    return found
