"""The world model: encoding, rolling out for any chunk size, gradients, and the hardware's number types."""

import copy
import pickle

import pytest
import torch
from helpers import scrambled
from naming import naming

from wmcontrol.agents import LatentCost
from wmcontrol.encoders import PyramidEncoder
from wmcontrol.models import ActionConditioned, ActionNormalizer, FrameCausalPredictor, Predictor, WorldModel
from wmcontrol.objectives import GoalDistance
from wmcontrol.planners import CEM, Gradient, Planner

B, S, H, A, D = 2, 7, 5, 4, 12


def frames(count: int = B, T: int = 1, size: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, T, size, size, 3), generator=generator, dtype=torch.uint8)


def encoder(tokens: tuple[int, int] = (2, 2)) -> PyramidEncoder:
    made = PyramidEncoder(D, tokens=tokens)
    made.fit(frames(40, 1)[:, 0])
    return made


def normalizer() -> ActionNormalizer:
    return ActionNormalizer([0.1, -0.2], [0.5, 0.25], [-1, -1], [1, 1], frameskip=2)


def world_model(dtype: torch.dtype = torch.float32, **settings: object) -> WorldModel:
    torch.manual_seed(0)
    predictor = scrambled(ActionConditioned(Predictor(D, 32, 3, 2), A))
    model = WorldModel(encoder(), predictor, normalizer(), control_rate=10, frame_size=(32, 32), **settings)
    model.predictor.to(dtype)
    return model


def plans(count: int = S, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(B, count, H, A, generator=torch.Generator().manual_seed(4), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("T", [1, 3])
def test_a_rollout_is_the_teacher_forced_prediction_on_what_it_imagines(T: int) -> None:
    model = world_model()
    tokens = model.encode(frames(T=T))
    imagined = model.rollout(model.context(tokens), plans())
    assert imagined.shape == (B, S, H, 4, D)
    times = model.step_seconds * torch.arange(T + H, dtype=torch.float64).expand(B, -1)
    for s in range(S):
        # What was done between the frames that were seen does not matter to this predictor.
        actions = torch.cat([torch.zeros(B, T - 1, A), plans()[:, s]], 1)
        clip = torch.cat([tokens, imagined[:, s, :-1]], 1)
        expected = model.predictor(clip, times, actions, grid=(2, 2))[:, T - 1 :]
        torch.testing.assert_close(imagined[:, s], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("budget", [1, 2**30])
def test_the_last_frames_alone_are_those_of_the_whole(budget: int) -> None:
    model = world_model(memory_budget=budget)
    context = model.context(model.encode(frames()))
    last = model.rollout(context, plans(), last_only=True)
    assert torch.equal(last, model.rollout(context, plans())[:, :, -1:])


@pytest.mark.parametrize("planner", [CEM(num_samples=50, num_iterations=8), Gradient(num_samples=5, num_iterations=20)])
def test_planners_bring_what_is_imagined_closer_to_a_goal(planner: Planner) -> None:
    model = world_model()
    assert model.normalizer is not None
    context = model.context(model.encode(frames()))
    goal = model.rollout(context, plans(1).clamp(*model.normalizer.bounds()))[:, 0, -1]  # so that it can be reached
    cost = LatentCost(model, context, goal, GoalDistance())
    low, high = model.normalizer.bounds()
    plan = planner.plan(cost, torch.zeros(B, H, A), low=low, high=high)
    assert bool((plan.cost < 0.7 * cost(torch.zeros(B, 1, H, A))[:, 0]).all())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("budget", [1, 50_000, 100_000, 2**30])
def test_any_memory_budget_gives_the_same_result(budget: int) -> None:
    whole = world_model()
    expected = whole.rollout(whole.context(whole.encode(frames())), plans())
    model = world_model(memory_budget=budget)
    context = model.context(model.encode(frames()))
    torch.testing.assert_close(model.rollout(context, plans()), expected, atol=1e-5, rtol=1e-5)


def candidates_at_once(budget: int, count: int = B) -> list[int]:
    """Return how many candidates each step of a rollout from so many environments took."""
    model = world_model(memory_budget=budget)
    context = model.context(model.encode(frames(count)))
    sizes: list[int] = []
    step = model.predictor.step
    model.predictor.step = lambda context, time, action: (sizes.append(action.shape[1]), step(context, time, action))[1]
    model.rollout(context, plans()[:count])
    return sizes


def test_small_budgets_really_split_candidates() -> None:
    assert candidates_at_once(1) == [1] * (S * H)


def test_a_budget_is_for_all_environments_together() -> None:
    assert candidates_at_once(180_000, 1) == [4] * H + [3] * H
    assert candidates_at_once(180_000, 2) == [2] * 3 * H + [1] * H


def test_rows_do_not_depend_on_one_another() -> None:
    model = world_model()
    together = model.rollout(model.context(model.encode(frames())), plans())
    for row in range(B):
        alone = model.rollout(model.context(model.encode(frames()[row : row + 1])), plans()[row : row + 1])
        torch.testing.assert_close(alone, together[row : row + 1], atol=1e-5, rtol=1e-5)


def test_gradients_reach_all_actions_agree_with_differences_and_leave_the_model_alone() -> None:
    model = world_model(torch.float64)
    context = model.context(model.encode(frames()))
    goal = torch.randn(B, 4, D, dtype=torch.float64)

    def cost(actions: torch.Tensor) -> torch.Tensor:
        return (model.rollout(context, actions)[:, :, -1] - goal[:, None]).square().mean((-1, -2)).sum()

    actions = plans(2, torch.float64).requires_grad_()
    cost(actions).backward()
    assert actions.grad is not None
    assert (actions.grad != 0).all()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.predictor.parameters())
    direction = torch.randn_like(actions)
    with torch.no_grad():
        difference = (cost(actions + 1e-5 * direction) - cost(actions - 1e-5 * direction)) / 2e-5
    torch.testing.assert_close((actions.grad * direction).sum(), difference, rtol=1e-6, atol=1e-9)
    small = plans(1, torch.float64)[:1, :, :2].requires_grad_()
    one = model.context(model.encode(frames(1)))
    assert torch.autograd.gradcheck(lambda a: model.rollout(one, a)[:, :, -1].sum(), (small,))


def test_while_it_learns_gradients_reach_its_parameters() -> None:
    model = world_model().train()
    model.rollout(model.context(model.encode(frames())), plans()).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.predictor.parameters())
    assert not model.encoder.training


def test_half_precision_stays_close_and_bounds_stay_exact() -> None:
    plain = world_model()
    expected = plain.rollout(plain.context(plain.encode(frames())), plans())
    model = world_model().to(torch.bfloat16)
    imagined = model.rollout(model.context(model.encode(frames())), plans())
    assert imagined.dtype == torch.bfloat16
    assert (imagined.float() - expected).norm() / expected.norm() < 0.05
    low, high = model.normalizer.bounds()
    torch.testing.assert_close(low, torch.tensor([-2.2, -3.2] * 2))
    torch.testing.assert_close(high, torch.tensor([1.8, 4.8] * 2))


def test_the_baseline_rolls_out_behind_the_same_interface() -> None:
    torch.manual_seed(0)
    predictor = FrameCausalPredictor(
        dim=D, action_dim=A, num_patches=4, num_frames=3, depth=2, heads=2, dim_head=8, mlp_dim=32
    )
    model = WorldModel(encoder(), predictor, normalizer(), control_rate=10, frame_size=(32, 32))
    past = torch.randn(B, 1, A)
    context = model.context(model.encode(frames(T=2)), actions=past)
    imagined = model.rollout(context, plans())
    assert imagined.shape == (B, S, H, 4, D)
    model.memory_budget = 1
    torch.testing.assert_close(model.rollout(context, plans()), imagined, atol=1e-5, rtol=1e-5)


def test_model_actions_are_environment_actions_grouped_normalised_and_clipped() -> None:
    actions = torch.tensor([[0.1, -0.2], [0.6, 0.05]])
    made = normalizer().to_model(actions)
    torch.testing.assert_close(made, torch.tensor([0.0, 0.0, 1.0, 1.0]))
    torch.testing.assert_close(normalizer().to_environment(made), actions)
    beyond = normalizer().to_environment(torch.full((3, A), 100.0))
    assert beyond.shape == (3, 2, 2)
    assert (beyond == 1).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"std": [0.5, 0]}, "std"),
        ({"low": [2, 1]}, naming("low", "high")),
        ({"mean": [0.1]}, "mean"),
        ({"high": [float("nan"), 1]}, "high"),
        ({"high": [float("inf"), 1]}, "high"),
        ({"mean": [[0, 0]], "std": [[1, 1]]}, "mean"),
        ({"std": [1e300, 1]}, "std"),
        ({"frameskip": 0}, "frameskip"),
    ],
)
def test_bad_statistics_are_refused(change: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ActionNormalizer(**{"mean": [0, 0], "std": [1, 1], "low": [-1, -1], "high": [1, 1], "frameskip": 2, **change})


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=naming(12, 8)):
        WorldModel(encoder(), Predictor(8, 32, 1, 2), control_rate=10)
    with pytest.raises(ValueError, match=naming(3, 4)):
        WorldModel(encoder(), ActionConditioned(Predictor(D, 32, 1, 2), 3), normalizer(), control_rate=10)
    with pytest.raises(ValueError, match="control_rate"):
        WorldModel(encoder(), Predictor(D, 32, 1, 2), control_rate=0)
    model = world_model()
    with pytest.raises(ValueError, match=r"\(B, T, 32, 32, 3\)"):
        model.encode(frames(size=48))
    context = model.context(model.encode(frames()))
    for budget in (0, -5, 1.5, "1GB"):
        with pytest.raises(ValueError, match="memory_budget"):
            world_model(memory_budget=budget)
    with pytest.raises(TypeError, match="actions"):
        model.rollout(context, plans().numpy())
    for wrong in (plans()[..., :3], plans()[:1], plans()[:, :0], plans()[:, :, :0], plans()[0]):
        with pytest.raises(ValueError, match=r"actions must have shape \(2, S, H, 4\)"):
            model.rollout(context, wrong)


def test_another_predictor_takes_over_wholly_and_copies_are_their_own() -> None:
    model = world_model()
    expected = model.rollout(model.context(model.encode(frames())), plans())
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin.rollout(twin.context(twin.encode(frames())), plans()), expected)
        with torch.no_grad():
            for parameter in twin.predictor.parameters():
                parameter.zero_()
        assert twin.rollout(twin.context(twin.encode(frames())), plans()).abs().max() == 0
        model.predictor = twin.predictor
        assert model.rollout(model.context(model.encode(frames())), plans()).abs().max() == 0
        model = world_model()


def test_standardizing_makes_numbers_vary_alike_and_keeps_their_mean_square() -> None:
    std = torch.rand(D, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.5
    model = world_model(token_std=std.tolist())
    half = torch.tensor(model.standardizing_weights(0.5), dtype=torch.float64)
    torch.testing.assert_close(half / half[0], (std / std[0]) ** -0.5)
    for power in (0, 0.5, 1, 2):
        varied = torch.tensor(model.standardizing_weights(power), dtype=torch.float64) * std
        assert float(varied.square().mean()) == pytest.approx(float(std.square().mean()))
    assert varied[0] != pytest.approx(float(varied[1]))
    whole = torch.tensor(model.standardizing_weights(), dtype=torch.float64) * std
    torch.testing.assert_close(whole, whole[:1].expand(D))
    tiny = world_model(token_std=(1e-200 * std).tolist())
    assert tiny.standardizing_weights(2) == pytest.approx(model.standardizing_weights(2))
    quiet = world_model(token_std=[4.0, *[0.0] * (D - 1)]).standardizing_weights()
    assert [weight / quiet[0] for weight in quiet[1:]] == pytest.approx([1000.0] * (D - 1))


def test_standardizing_needs_deviations() -> None:
    for unknown in (None, [0.0] * D):
        with pytest.raises(ValueError, match="token_std"):
            world_model(token_std=unknown).standardizing_weights()
    with pytest.raises(ValueError, match=naming("power", -1)):
        world_model(token_std=[1.0] * D).standardizing_weights(-1)
    for wrong, named in (([1.0], 12), ([-1.0] * D, -1.0), ([float("nan")] * D, "nan")):
        with pytest.raises(ValueError, match=naming("token_std", named)):
            world_model(token_std=wrong)


def test_times_are_kept_in_double_precision_or_refused() -> None:
    model = world_model()
    tokens = model.encode(frames(T=2))
    near = torch.tensor([[0.0, 0.2]] * B)
    expected = model.rollout(model.context(tokens, near), plans())
    far = near.double() + 1.7e9
    torch.testing.assert_close(model.rollout(model.context(tokens, far), plans()), expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="float64"):
        model.context(tokens, near + 1e5)
    for wrong in (near.flip(1), torch.full_like(near, float("nan")), near * 0):
        with pytest.raises(ValueError, match="times"):
            model.context(tokens, wrong)


def test_a_model_step_is_as_long_as_the_actions_that_it_holds() -> None:
    assert world_model().step_seconds == 0.2  # two actions at 10 Hz


def test_a_model_without_actions_says_so() -> None:
    model = WorldModel(encoder(), Predictor(D, 32, 1, 2), control_rate=10, frame_size=(32, 32))
    with pytest.raises(ValueError, match="actions"):
        model.rollout(model.context(model.encode(frames())), plans())
