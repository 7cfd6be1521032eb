"""The agent that plans."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models import WorldModel
from ..models.ordinary import ordinary_tensors
from ..objectives import Objective
from ..planners import Planner
from ..planners.checks import check_whole
from .contexts import context_of, steps_of
from .explanation import Explanation, explain
from .latent_cost import LatentCost
from .observations import read, read_starts
from .simulator import SimulatorModel
from .state import Actions, AgentState, Outlook, Pixels, Row, Sight, row_of


@dataclass(frozen=True)
class PlanningAgent:
    """Plans in a world model's latent space towards the goal that comes with the observation.

    ``predict`` is that of Stable-Baselines3, so that whatever runs its policies runs this agent. The agent itself
    never changes: all that it remembers is in the state that ``predict`` returns. What is planned for one environment
    depends on nothing that others in the batch show, except for the last digits of floating-point numbers, which on
    some machines depend on how many are computed at once.

    Args:
        model: imagines; or the true simulator in its place.
        planner: searches for actions.
        objective: judges what is imagined.
        horizon: model steps that a plan looks ahead, H.
        execute: environment steps that are taken of each plan, a multiple of the model's frameskip: 25 is open loop
            for 5 model steps of 5, as in DINO-world; 5 plans anew in each model step. What is left of a plan starts
            the next.
        history: how many frames, one model step apart, the model sees at most.
        seed: of all randomness.

    Raises:
        TypeError, ValueError: a model that takes no actions, or settings that do not fit it.
    """

    model: WorldModel | SimulatorModel
    planner: Planner
    objective: Objective
    horizon: int = 5
    execute: int = 25
    history: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.model, (WorldModel, SimulatorModel)):
            raise TypeError(f"model must be a WorldModel or a SimulatorModel, got {type(self.model).__name__}")
        if not isinstance(self.planner, Planner):
            raise TypeError(f"planner must be a Planner, such as CEM(), got {self.planner!r}")
        if not callable(self.objective):
            raise TypeError(f"objective must be a function, such as GoalDistance(), got {self.objective!r}")
        if self.model.normalizer is None:
            raise ValueError("this model takes no actions, so nothing can be planned with it; fine-tune it first")
        check_whole("horizon", self.horizon)
        check_whole("history", self.history)
        check_whole("execute", self.execute)
        check_whole("seed", self.seed, least=0)
        frameskip = self.model.frameskip
        if self.execute % frameskip or self.execute > self.horizon * frameskip:
            raise ValueError(
                f"execute must be a multiple of the model's frameskip, {frameskip}, and at most horizon times it, "
                f"{self.horizon * frameskip}; got {self.execute}"
            )

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width that ``pixels`` and ``goal_pixels`` must have."""
        return self.model.frame_size

    @property
    def control_rate(self) -> float:
        """Environment actions per second that the model was trained at, Hz."""
        return self.model.control_rate

    @property
    def action_bounds(self) -> tuple[Actions, Actions]:
        """The lowest and the highest action, both (a,)."""
        assert self.model.normalizer is not None
        low, high = self.model.normalizer.low, self.model.normalizer.high
        return low.cpu().numpy(), high.cpu().numpy()

    @property
    def reads_state(self) -> bool:
        """Whether observations must hold the true ``state``, and the ``variation`` of environments that vary."""
        return isinstance(self.model, SimulatorModel)

    @ordinary_tensors()
    def predict(
        self,
        observation: Any,
        state: AgentState | None = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[Actions, AgentState]:
        """Choose the next action of one environment or of each of a batch.

        Args:
            observation: dict with ``pixels`` and ``goal_pixels``, uint8 (height, width, 3), or (B, height, width, 3)
                for a batch; colours may also stand first. Other keys are not looked at. A goal that changes is
                planned for at once.
            state: what the last call returned; None at first.
            episode_start: (B,) bool, in which environments ``observation`` is the first of an episode; what was known
                of them is forgotten. For Gymnasium's vector environments with their default autoreset that is the call
                after the one that saw the last observation, see docs/environments.md. One that starts and starts
                again with the very same frame and goal is taken for idle: its action stays.
            deterministic: not looked at; all randomness follows from the seed.

        Returns:
            Actions in the environment's units and bounds, float32, (a,) or (B, a); and the state for the next call.

        Raises:
            TypeError, ValueError: what does not fit, before anything is planned.
        """
        sights, batched = self._read(observation)
        state = self._checked(state, len(sights))
        flags = read_starts(episode_start, len(sights))
        rows = list(state.rows)
        acting = []
        for i, (row, sight, flag) in enumerate(zip(rows, sights, flags, strict=True)):
            if not _rests(row, sight, flag):
                rows[i] = self._arrived(row, sight, flag)
                acting.append(i)
        self._plan(rows, [i for i in acting if rows[i].queue is None])
        for i in acting:
            rows[i] = self._acted(rows[i])
        actions = np.stack([row.done[-1] for row in rows if row.done is not None])
        return actions if batched else actions[0], AgentState(tuple(rows))

    def start(self, seeds: Iterable[int]) -> AgentState:
        """Return the state before the first call for environments with random numbers of their own: a seed for each.

        Without it environment ``i`` of a batch has the seed ``i``.
        """
        return AgentState(tuple(Row(seed=(int(self.seed), int(seed))) for seed in seeds))

    @ordinary_tensors()
    def watch(
        self, observation: Any, state: AgentState | None, actions: NDArray[Any], episode_start: Any = None
    ) -> AgentState:
        """Look on while somebody else acts, such as a demonstrator before the agent takes over.

        Args:
            observation, state, episode_start: as for ``predict``.
            actions: what is done now, (a,) or (B, a).
        """
        sights, batched = self._read(observation)
        state = self._checked(state, len(sights))
        flags = read_starts(episode_start, len(sights))
        done = np.asarray(actions, np.float32)
        done = done if batched else done[None]
        size = self._action_size
        if done.shape != (len(sights), size):
            raise ValueError(f"actions must have shape {(len(sights), size) if batched else (size,)}, got {done.shape}")
        rows = []
        for row, sight, flag, action in zip(state.rows, sights, flags, done, strict=True):
            arrived = self._arrived(row, sight, flag)
            rows.append(self._acted(replace(arrived, queue=action[None], outlook=None)))
        return AgentState(tuple(rows))

    def explain(self, state: AgentState) -> tuple[Explanation | None, ...]:
        """Return for each environment what its last plan imagined and what came of it; None before its first plan."""
        return tuple(explain(self.model, row.outlook, self._memory) for row in state.rows)

    @property
    def _action_size(self) -> int:
        assert self.model.normalizer is not None
        return self.model.normalizer.action_dim // self.model.frameskip

    @property
    def _memory(self) -> int:
        """How many environment steps a context reaches back."""
        return (self.history - 1) * self.model.frameskip

    def _read(self, observation: Any) -> tuple[list[Sight], bool]:
        return read(observation, self.frame_size, with_state=self.reads_state)

    def _checked(self, state: AgentState | None, rows: int) -> AgentState:
        if state is None:
            return self.start(range(rows))
        if not isinstance(state, AgentState):
            raise TypeError(f"state must be what predict returned, or None at first; got {type(state).__name__}")
        if len(state.rows) != rows:
            raise ValueError(f"the state is of {len(state.rows)} environments, the observation of {rows}")
        return state

    def _arrived(self, row: Row, sight: Sight, flag: bool) -> Row:
        """Return the row with its newest sight; without a queue if it must be planned for."""
        last, pixels = row.sight, sight.pixels
        same_goal = last is not None and np.array_equal(last.goal, sight.goal)
        if last is None or flag:
            episode = row.episode if last is None else row.episode + 1
            fresh = Row(seed=row.seed, episode=episode, decisions=row.decisions)
            return replace(fresh, sight=sight, frames={0: pixels}, flagged=flag)
        step = row.step + 1
        oldest = step - self._memory
        row = replace(
            row,
            step=step,
            sight=sight,
            frames={s: p for s, p in row.frames.items() if s >= oldest} | {step: pixels},
            tokens={s: z for s, z in row.tokens.items() if s >= oldest},
            outlook=self._seen(row.outlook, step, pixels),
            flagged=flag,
        )
        return row if same_goal else replace(row, goal=None, queue=None, outlook=None)

    def _seen(self, outlook: Outlook | None, step: int, pixels: Pixels) -> Outlook | None:
        if outlook is None:
            return None
        ahead, rest = divmod(step - outlook.made_from.step, self.model.frameskip)
        if rest or ahead > self.horizon:
            return outlook
        return replace(outlook, seen=(*outlook.seen, pixels))

    def _acted(self, row: Row) -> Row:
        """Return the row after the next action of its queue."""
        assert row.queue is not None
        new, queue = row.queue[:1], row.queue[1:]
        done = new if row.done is None else np.concatenate([row.done, new])
        return replace(row, done=done[-max(1, self._memory) :], queue=queue if len(queue) else None)

    def _steps(self, row: Row) -> list[int]:
        return steps_of(row, self._memory, self.model.frameskip)

    def _plan(self, rows: list[Row], waiting: Sequence[int]) -> None:
        """Give these rows a plan: those of the same kind in one batch."""
        if not waiting:
            return
        self._encode(rows, waiting)
        groups: dict[tuple[int, int], list[int]] = {}
        starts = {i: self._start(rows[i]) for i in waiting}
        for i in waiting:
            groups.setdefault((len(self._steps(rows[i])), starts[i].shape[1]), []).append(i)
        for members in groups.values():
            self._plan_together(rows, members, torch.cat([starts[i] for i in members]))

    def _encode(self, rows: list[Row], waiting: Sequence[int]) -> None:
        """Encode frames and goals that are not yet encoded, all in one batch."""
        missing: list[tuple[int, int | None, Pixels]] = []
        for i in waiting:
            row, sight = rows[i], rows[i].sight
            assert sight is not None
            if row.goal is None:
                missing.append((i, None, sight.goal))
            missing += [(i, s, row.frames[s]) for s in self._steps(row) if s not in row.tokens]
        if not missing:
            return
        frames = torch.from_numpy(np.stack([pixels for *_, pixels in missing]))
        for (i, step, _), tokens in zip(missing, self.model.encode(frames[:, None])[:, 0], strict=True):
            row = rows[i]
            if step is None:
                rows[i] = replace(row, goal=tokens.clone())
            else:
                rows[i] = replace(row, tokens={**row.tokens, step: tokens.clone()})

    def _start(self, row: Row) -> Tensor:
        """Return where the search starts, (1, K, H, A): what is left of the last plan, or the mean action."""
        left = self.horizon - self.execute // self.model.frameskip
        if row.outlook is not None and left:
            return row.outlook.plan.shift(self.horizon - left, elites=True)
        assert self.model.normalizer is not None
        shape = (1, 1, self.horizon, self.model.normalizer.action_dim)
        return torch.zeros(shape, dtype=torch.float32, device=self.model.device)

    def _plan_together(self, rows: list[Row], members: Sequence[int], starts: Tensor) -> None:
        normalizer, chosen = self.model.normalizer, [rows[i] for i in members]
        assert normalizer is not None
        goal = torch.stack([row.goal for row in chosen if row.goal is not None])
        low, high = normalizer.bounds()
        context = context_of(self.model, chosen, self._memory)
        plan = self.planner.plan(
            LatentCost(self.model, context, goal, self.objective),
            starts,
            low=low,
            high=high,
            generators=[row.generator() for row in chosen],
        )
        actions = normalizer.to_environment(plan.actions).flatten(1, 2).cpu().numpy().astype(np.float32)
        for k, (i, row) in enumerate(zip(members, chosen, strict=True)):
            rows[i] = replace(
                row,
                queue=actions[k, : self.execute],
                outlook=Outlook(row_of(plan, k), replace(row, outlook=None)),
                plans=row.plans + 1,
                decisions=row.decisions + 1,
            )


def _rests(row: Row, sight: Sight, flag: bool) -> bool:
    """Say whether an environment starts an episode again and again and nothing happens in it."""
    last = row.sight
    if last is None or row.done is None or not (flag and row.flagged):
        return False
    return np.array_equal(last.pixels, sight.pixels) and np.array_equal(last.goal, sight.goal)
