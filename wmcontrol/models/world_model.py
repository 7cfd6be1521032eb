"""The world model: an encoder, a predictor, and what stands between them and an environment."""

import os
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..checks import check_number, check_whole
from ..encoders import Encoder
from ..hardware import usable_device
from .action import ActionConditioned
from .action_prior import ActionPrior
from .checks import check_tokens
from .context import Context, Versioned
from .decoder import FrameDecoder
from .fast import fast_rollouts
from .landmarks import Landmarks
from .normalizer import ActionNormalizer
from .ordinary import check_differentiable, ordinary_tensors
from .planning_settings import PlanningSettings
from .predictor import Predictor
from .reward import RewardHead
from .steps_to_go import StepsToGo
from .temporal_embedding import TemporalEmbedding
from .zoo.frame_causal import FrameCausalPredictor, FrameWindow

AnyContext = Context | FrameWindow  # of one of our predictors, or of the baseline
# What a model may have learned beside its predictor: attributes of it, which are saved with it.
HEADS: Mapping[str, Callable[..., nn.Module]] = {
    "prior": ActionPrior,
    "reward": RewardHead,
    "decoder": FrameDecoder,
    "steps_to_go": StepsToGo,
    "landmarks": Landmarks,
    "temporal_embedding": TemporalEmbedding,
}


class WorldModel(nn.Module):
    """Encode frames, and imagine what actions lead to.

    In evaluation mode, in which it is made and loaded, no gradient reaches the parameters: a cost of a rollout can be
    differentiated by the actions, and nothing gathers on the model.

    Args:
        encoder: frames to tokens; frozen.
        predictor: with actions; or without, for a model that only watches.
        normalizer: statistics and bounds of actions, and the frameskip; None without actions.
        control_rate: environment actions per second, Hz.
        frame_size: height and width of the frames that the model was trained on.
        memory_budget: how many bytes a rollout may take beside its result; candidates are split to keep within it. By
            default 256 MiB on a CPU, where more is slower, and 4 GiB elsewhere. A rollout without gradients leaves its
            memory to the next from the same context. One with gradients takes more: the backward pass needs what was
            computed for all candidates.
        token_std: standard deviation of each of the D numbers of a token over what the model was fine-tuned on, for
            ``standardizing_weights``; None, or all 0: not known.
        planning: what suits its environment when an agent plans with it; see ``PlanningAgent.from_model``.

    Attributes:
        prior: proposes action sequences to planners; None without one. See :func:`wmcontrol.training.fit_prior`.
        reward: predicts rewards, for planning without a goal; None without. See :func:`wmcontrol.training.fit_reward`.
        decoder: makes tokens visible, for looking only; None without. See :func:`wmcontrol.training.fit_decoder`.
        steps_to_go: says how many model steps lie between two frames; None without. See
            :func:`wmcontrol.training.fit_steps_to_go`.
        landmarks: frames on the way to far goals, with ``steps_to_go``; None without.
        temporal_embedding: says how unlikely it is to get from one frame to another soon; None without. See
            :func:`wmcontrol.training.fit_temporal_embedding`.
        rounded_from: number type of the predictor's weights before ``load(dtype="auto")`` rounded them; None where it
            did not.
    """

    def __init__(
        self,
        encoder: Encoder,
        predictor: Predictor | ActionConditioned | FrameCausalPredictor,
        normalizer: ActionNormalizer | None = None,
        *,
        control_rate: float,
        frame_size: tuple[int, int] = (64, 64),
        memory_budget: int | None = None,
        token_std: Sequence[float] | None = None,
        planning: PlanningSettings | None = None,
    ):
        super().__init__()
        if encoder.tubelet != 1:
            raise ValueError(
                f"a world model encodes frame by frame; this encoder takes {encoder.tubelet} frames at a time"
            )
        if encoder.dim != predictor.dim:
            raise ValueError(f"the encoder makes tokens of {encoder.dim}, the predictor takes {predictor.dim}")
        action_dim = getattr(predictor, "action_dim", None)
        if action_dim != (normalizer.action_dim if normalizer else None):
            raise ValueError(
                f"the predictor takes actions of {action_dim}, the normalizer makes "
                f"{normalizer.action_dim if normalizer else None}; they are frameskip times the environment's"
            )
        check_number("control_rate", control_rate, "(0, inf)")
        sides: object = frame_size
        if (
            not isinstance(sides, tuple | list)
            or len(frame_size) != 2
            or not all(isinstance(side, int) and side > 0 for side in frame_size)
        ):
            raise ValueError(f"frame_size must be a height and a width in pixels, got {frame_size!r}")
        if memory_budget is not None:
            check_whole("memory_budget", memory_budget)
        if token_std is not None:
            if not hasattr(token_std, "__len__") or len(token_std) != encoder.dim:
                raise ValueError(
                    f"token_std must be {encoder.dim} numbers, one for each of a token; got {reprlib.repr(token_std)}"
                )
            for std in token_std:
                check_number("token_std", std, "[0, inf)")
        self.encoder = encoder
        self.predictor = predictor
        self.normalizer = normalizer
        self.control_rate = float(control_rate)
        self.frame_size = frame_size
        self.memory_budget = memory_budget
        # Of frames that were all the same, deviations of 0 say nothing.
        self.token_std = tuple(float(std) for std in token_std) if token_std is not None and any(token_std) else None
        self.planning = PlanningSettings() if planning is None else planning
        self.prior: ActionPrior | None = None
        self.reward: RewardHead | None = None
        self.decoder: FrameDecoder | None = None
        self.steps_to_go: StepsToGo | None = None
        self.landmarks: Landmarks | None = None
        self.temporal_embedding: TemporalEmbedding | None = None
        self.rounded_from: torch.dtype | None = None
        self.eval()

    @property
    def dtype(self) -> torch.dtype:
        """The number type that the predictor computes in."""
        return next(self.predictor.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.predictor.parameters()).device

    @property
    def frameskip(self) -> int:
        """Environment actions per model step."""
        return self.normalizer.frameskip if self.normalizer else 1

    @property
    def step_seconds(self) -> float:
        """Seconds from one predicted frame to the next."""
        return self.frameskip / self.control_rate

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.encoder.grid(*self.frame_size)

    def heads(self) -> dict[str, Any]:
        """Return what it has learned beside its predictor, by the name of the attribute: prior, reward, decoder, …."""
        return {name: part for name in HEADS if (part := getattr(self, name)) is not None}

    def standardizing_weights(self, power: float = 1.0) -> tuple[float, ...]:
        """Return weights (D,) for ``GoalDistance``: each number of a token by ``token_std ** -power``.

        With a power of 1 all numbers count alike, however much they vary, as in the standardised Euclidean distance
        (Mahalanobis's with a diagonal covariance); with 0 each as it is. The mean square of
        weighted numbers stays that of the numbers, and one that hardly varies counts as if it had a thousandth of the
        largest deviation.

        Raises:
            ValueError: the model has no ``token_std``, or the power is not from 0 to 2.
        """
        if self.token_std is None:
            raise ValueError(
                "this model does not say how much each number of its tokens varies (token_std): fine-tune it anew, or "
                "plan with standardize=0"
            )
        check_number("power", power, "[0, 2]")
        std = torch.tensor(self.token_std, dtype=torch.float64, device="cpu") / max(self.token_std)
        weights = std.clamp(min=1e-3) ** -power
        weights *= (std.square().mean() / (weights * std).square().mean()).sqrt()
        return tuple(weights.tolist())

    @ordinary_tensors()
    def encode(self, frames: Tensor) -> Tensor:
        """Encode frames (B, T, height, width, 3), uint8, to tokens (B, T, P, D)."""
        given: object = frames
        if not isinstance(given, Tensor):
            raise TypeError(f"frames must be a tensor (B, T, height, width, 3), got {type(given).__name__}")
        if frames.ndim != 5 or tuple(frames.shape[2:]) != (*self.frame_size, 3):
            height, width = self.frame_size
            raise ValueError(
                f"frames must have shape (B, T, {height}, {width}, 3), as in training; got {tuple(frames.shape)}"
            )
        tokens: Tensor = self.encoder(frames.to(self.device))
        return tokens.to(self.dtype)

    @ordinary_tensors()
    def context(self, tokens: Tensor, times: Tensor | None = None, actions: Tensor | None = None) -> AnyContext:
        """Compute once what rollouts need of frames that were seen, with the weights of now.

        What all rollouts from it share is kept with it: make one for each plan, and let it go thereafter. It is void
        once the model is trained, loaded, moved or converted, which ``rollout`` notices; a change of weights in place
        and in evaluation mode is not noticed.

        Args:
            tokens: (B, T, P, D), from ``encode``.
            times: (B, T) seconds, rising; by default one model step apart. In float64 where they are large.
            actions: (B, T - 1, A), normalised, taken between these frames; None where they are not known.
        """
        check_tokens(tokens, self.encoder.dim, self.grid)
        B, T = tokens.shape[:2]
        tokens = tokens.to(self.dtype)
        if times is None:
            times = self.step_seconds * torch.arange(T, device=tokens.device, dtype=torch.float64).expand(B, T)
        given: dict[str, Any] = {}
        if isinstance(self.predictor, (ActionConditioned, FrameCausalPredictor)):
            given["actions"] = None if actions is None else actions.to(self.dtype)
        with self._parameters_fixed():
            context: AnyContext = self.predictor.context(tokens, times, grid=self.grid, **given)
        return replace(context, version=self._predictor_version()) if isinstance(context, Context) else context

    def rollout(self, context: AnyContext, actions: Tensor, *, last_only: bool = False) -> Tensor:
        """Imagine what candidate actions lead to.

        Args:
            context: of the B environments, from ``context``.
            actions: (B, S, H, A), normalised: see ``normalizer``.
            last_only: keep only the last frame, which is all that many objectives read.

        Returns:
            (B, S, H, P, D): tokens of the H next frames, for each candidate; the same, to rounding, however few
            candidates at a time fit into the memory budget. (B, S, 1, P, D) with ``last_only``.

        Raises:
            TypeError, ValueError: actions of another kind or shape; or a context of another model, or that is void.
        """
        B = len(context.last_time)
        if self.normalizer is None:
            raise ValueError("this model takes no actions; imagine without them by predictor.step")
        if not isinstance(actions, Tensor):
            raise TypeError(f"actions must be a tensor (B, S, H, A), got {type(actions).__name__}")
        version = context.version if isinstance(context, Context) else None
        if version is not None and version != self._predictor_version():
            raise ValueError(
                "the context was computed by another model, or before this one was trained, loaded, moved or "
                "converted; make the context anew"
            )
        action_dim = self.normalizer.action_dim
        if actions.ndim != 4 or actions.shape[0] != B or actions.shape[-1] != action_dim or not actions.numel():
            raise ValueError(
                f"actions must have shape ({B}, S, H, {action_dim}), none of them 0; got {tuple(actions.shape)}"
            )
        actions = actions.to(self.dtype)
        parts = actions.split(self._candidates_at_once(context, actions.shape[2]), 1)
        if version is not None and not (torch.is_grad_enabled() or self.training):
            assert isinstance(context, Context)
            imagine = fast_rollouts(self.predictor, context, actions.shape[2], self.step_seconds)
            if imagine is not None:
                return torch.cat([imagine(part, last_only=last_only) for part in parts], 1)
        check_differentiable(self.predictor)
        with self._parameters_fixed():
            return torch.cat([self._rollout(context, part, last_only) for part in parts], 1)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Save to a new folder, or over a model, all that acting needs; see :mod:`wmcontrol.models.checkpoint`.

        Weights are saved in the number types that they have. A model that ``load(dtype="auto")`` rounded is not saved,
        nor is one that could not be loaded as it is.
        """
        from .checkpoint import save

        save(self, folder)

    @staticmethod
    def load(
        folder_or_name: str | os.PathLike[str],
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | Literal["auto"] | None = None,
    ) -> "WorldModel":
        """Load a model from a folder, by a packaged name, or from ``hf://owner/name``; no code of it is run.

        Args:
            folder_or_name: where it is; a revision and a folder may follow, ``hf://owner/name@v1/folder``.
            device: where it goes; ``"auto"`` is a GPU if there is one.
            dtype: what the predictor computes in; by default what it was saved in, float32 for packaged models, so that
                it imagines the same on every machine. ``"auto"``: bfloat16 where the device has arithmetic for it, else
                float32; that is faster, and plans differ in digits from machine to machine.

        Returns:
            The model in evaluation mode, its parameters asking for no gradient.
        """
        from .checkpoint import load

        return load(folder_or_name, usable_device(device), dtype)

    @staticmethod
    def from_pretrained(
        folder_or_name: str | os.PathLike[str],
        *,
        revision: str | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | Literal["auto"] | None = None,
    ) -> "WorldModel":
        """Load a model as :meth:`load` does; ``owner/name`` that is no folder here is one of the Hugging Face Hub.

        Args:
            folder_or_name: where it is.
            revision: branch, tag or commit of the Hub's repository; by default its main branch.
            device: as for :meth:`load`.
            dtype: as for :meth:`load`.
        """
        from .publishing import pretrained_name

        return WorldModel.load(pretrained_name(folder_or_name, revision), device=device, dtype=dtype)

    def push_to_hub(
        self,
        repo: str,
        *,
        training: str | os.PathLike[str] | None = None,
        evaluations: Sequence[str | os.PathLike[str]] = (),
        datasets: Sequence[str] = (),
        license: str | None = None,
        private: bool = False,
        revision: str | None = None,
    ) -> str:
        """Publish the model on the Hugging Face Hub, with a model card made of what is known of it.

        Args:
            repo: ``owner/name``; it is made if need be.
            training: the folder of the run that trained it, or the packaged name, for settings, data and held-out
                errors.
            evaluations: folders of evaluations of this model, as of
                :func:`~wmcontrol.evaluation.evaluate_and_report`, for success and its intervals.
            datasets: names on the Hub of the data that it was trained on.
            license: of the weights, as the Hub writes it: "apache-2.0".
            private: whether a repository that is made is.
            revision: the branch; by default the main one.

        Returns:
            The address of the commit.

        Raises:
            OSError: a file is missing, or the Hub cannot be reached or refuses; ``hf auth login`` stores a token.
            ValueError: a file is broken; or the model could not be loaded as it is, see :meth:`save`.
            ImportError: huggingface_hub is not installed.
        """
        from .publishing import push_to_hub

        return push_to_hub(
            self,
            repo,
            training=training,
            evaluations=evaluations,
            datasets=datasets,
            license=license,
            private=private,
            revision=revision,
        )

    def _predictor_version(self) -> tuple[object, ...] | None:
        return self.predictor.version if isinstance(self.predictor, Versioned) else None

    def _rollout(self, context: AnyContext, actions: Tensor, last_only: bool) -> Tensor:
        expanded: Any = context.expand(actions.shape[1])
        frames: list[Tensor] = []
        for step in range(actions.shape[2]):
            time = context.last_time + (step + 1) * self.step_seconds
            frame, expanded = self.predictor.step(expanded, time, actions[:, :, step])
            frames = [frame] if last_only else [*frames, frame]
        return torch.stack(frames, 2)

    def _candidates_at_once(self, context: AnyContext, horizon: int) -> int:
        """How many candidates of every environment fit into the memory budget at once."""
        budget = self.memory_budget or (2**28 if self.device.type == "cpu" else 2**32)
        rows, columns = self.grid
        P, B = rows * columns, len(context.last_time)
        if isinstance(self.predictor, FrameCausalPredictor):
            window = self.predictor.num_frames * P
            settings = self.predictor.settings()
            numbers = settings["depth"] * settings["heads"] * (window + 16 * settings["dim_head"]) * window
            return max(1, budget // int(B * numbers * self.dtype.itemsize))
        predictor = self.predictor.predictor if isinstance(self.predictor, ActionConditioned) else self.predictor
        assert isinstance(context, Context)
        seen = context.shared[0][0].shape[2] + horizon * P
        kept = 2 * predictor.depth * seen * predictor.width  # keys and values
        scores = 3 * predictor.num_heads * P * seen  # attention weights, and what the softmax makes of them
        activations = (40 + 2 * predictor.depth) * P * predictor.width
        numbers = kept + scores + activations
        return max(1, budget // int(B * numbers * self.dtype.itemsize))

    @contextmanager
    def _parameters_fixed(self) -> Iterator[None]:
        """In evaluation mode, leave parameters out of the graph that is built meanwhile."""
        learning = [] if self.training else [p for p in self.predictor.parameters() if p.requires_grad]
        for parameter in learning:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in learning:
                parameter.requires_grad_(True)
