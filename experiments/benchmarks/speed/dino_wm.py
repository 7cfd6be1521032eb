"""Against DINO-WM's way of planning, with a predictor of its size: arXiv 2411.04983, and its released code."""

from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from wmcontrol.models import FrameCausalPredictor

from ..results import Section, Verdict
from ..timing import fast_dtype, in_turns, name_of, ratio
from .subjects import ACTION_DIM, HORIZON, Size, actions, ways

CANDIDATES = 4  # measured, of the paper's 300
PLAN = (300, 30)  # candidates and iterations that the table tells of
OURS = Size(404, 6, 4, 384, (14, 14), mlp_ratio=2048 / 404)
PATCH, SIDE = 14, 196


class _Encoder(nn.Module):
    """A vision transformer of DINOv2-S's size: what it computes does not matter, how long it takes does."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 384, PATCH, PATCH, dtype=torch.float32)
        layer = nn.TransformerEncoderLayer(
            384, 6, 4 * 384, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Encode frames (B, 3, SIDE, SIDE) to tokens (B, P, width)."""
        tokens: Tensor = self.blocks(self.patches(frames).flatten(2).transpose(1, 2))
        return tokens


def against_dino_wm(rounds: int) -> Section:
    """Measure a candidate's rollout in DINO-WM's way and in ours, and the encoder, and tell of a whole plan."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    S, (candidates, iterations) = CANDIDATES, PLAN
    torch.manual_seed(0)
    theirs = FrameCausalPredictor(dim=OURS.dim, action_dim=ACTION_DIM, num_patches=OURS.patches, proprio_dim=10)
    theirs.eval().requires_grad_(False).to(device)
    encoder = _Encoder().eval().requires_grad_(False).to(device)
    model = OURS.world_model(fast_dtype(device), device)
    found: dict[str, Callable[[], Any]] = {
        "theirs": lambda: _their_rollout(theirs, tokens, plans),
        "encoder": lambda: encoder(frames),
        "ours": ways(model, OURS.tokens(1, 1, model), actions(1, S, HORIZON, model))["folded"],
    }
    tokens, plans = OURS.tokens(1, 1, model).float(), actions(1, S, HORIZON, model).float()
    frames = torch.rand(S, 3, SIDE, SIDE, dtype=torch.float32, device=device)
    with torch.no_grad():
        taken = in_turns(found, rounds)
    of_one = {name: [seconds / S for seconds in times] for name, times in taken.items()}
    ours = [candidates * iterations * seconds for seconds in of_one["ours"]]
    ours_all = [a + b for a, b in zip(ours, of_one["encoder"], strict=True)]
    plain = [candidates * iterations * seconds for seconds in of_one["theirs"]]
    once = [a + iterations * b for a, b in zip(plain, of_one["encoder"], strict=True)]
    every = [a + candidates * iterations * b for a, b in zip(plain, of_one["encoder"], strict=True)]
    told = {
        "DINO-WM's way, every candidate's observation encoded in every iteration": (every, ours_all),
        "the observation encoded once in every iteration": (once, ours_all),
        "the encoder's time left out": (plain, ours),
    }
    rows = [
        (name, f"{median(slow):,.0f}", f"{median(fast):,.0f}", f"{ratio(slow, fast):.1f}x")
        for name, (slow, fast) in told.items()
    ]
    gains = [ratio(*pair) for pair in told.values()]
    return Section(
        "Against DINO-WM's way of planning",
        f"Seconds of a plan of {candidates} candidates x {iterations} iterations x {HORIZON} steps, of {S} candidates "
        f"measured and scaled, {torch.get_num_threads()} threads. Theirs: predictor of width 404, depth 6, 16 heads of "
        f"64, MLP 2048, {OURS.patches} tokens, a window of 3 frames recomputed for each candidate and step, float32; "
        "every candidate's copy of the observation goes through the encoder again in each iteration. Ours: width, "
        f"depth and MLP the same, with action blocks, {name_of(model.dtype)}; the observation is "
        "encoded once. The encoder has DINOv2-S's size. Weights are random.",
        ("", "theirs, s", "ours, s", "ratio"),
        rows,
        {
            "seconds_of_a_candidate": {name: median(times) for name, times in of_one.items()},
            "ratios": dict(zip(told, gains, strict=True)),
            "candidates_measured": S,
        },
        [
            Verdict("10 times as fast with the encoder", f"{gains[0]:.1f} times", gains[0] >= 10),
            Verdict("5 times with the encoder's time left out", f"{gains[2]:.1f} times", gains[2] >= 5),
        ],
    )


def _their_rollout(predictor: FrameCausalPredictor, tokens: Tensor, plans: Tensor) -> Tensor:
    start = torch.zeros(1, 1, dtype=torch.float64, device=tokens.device)
    context = predictor.context(tokens, start, grid=OURS.grid).expand(plans.shape[1])
    for step in range(plans.shape[2]):
        frame, context = predictor.step(context, start[:, 0], plans[:, :, step])
    return frame
