"""PyramidEncoder: a linear map, principal components, and a distance that grows."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naming import naming

from wmcontrol.encoders import PyramidEncoder


def disc(x: float, y: float = 32, size: int = 64, radius: float = 4) -> torch.Tensor:
    """A blue disc on white, its centre and radius in pixels of a frame of 64."""
    row, column = (np.mgrid[:size, :size] + 0.5) * 64 / size
    cover = np.clip((radius - np.hypot(column - x, row - y)) * size / 64 + 0.5, 0, 1)[..., None]
    return torch.from_numpy(np.rint(255 * (1 - cover) + np.array([40, 80, 200]) * cover).astype(np.uint8))


@pytest.fixture(scope="module")
def discs() -> torch.Tensor:
    """A disc at 300 places, (300, 64, 64, 3)."""
    rng = np.random.default_rng(0)
    return torch.stack([disc(*rng.uniform(4, 60, 2)) for _ in range(300)])


@pytest.fixture(scope="module")
def fitted(discs: torch.Tensor) -> PyramidEncoder:
    encoder = PyramidEncoder(64)
    assert encoder.fit(discs) > 0.98
    return encoder


@pytest.mark.parametrize("direction", [(1, 0), (0, 1), (0.7, 0.7)])
def test_distance_grows_with_every_pixel_to_half_the_frame(
    fitted: PyramidEncoder, direction: tuple[float, float]
) -> None:
    moved = torch.stack([disc(14 + d * direction[0], 14 + d * direction[1]) for d in range(33)])
    tokens = fitted(moved)[:, 0]
    distance = (tokens - tokens[0]).norm(dim=-1)
    assert (distance.diff() > 0).all()
    # Smoothly: the first steps count for more than the last ones, but none for nothing.
    assert distance.diff()[:8].min() > distance.diff()[-8:].max()
    assert distance.diff()[-8:].min() > 0.05 * distance.diff()[0]


def test_it_is_a_linear_map_of_the_image(fitted: PyramidEncoder, discs: torch.Tensor) -> None:
    one, two = discs[0] // 2 * 2, discs[1] // 2 * 2
    mean = ((one.int() + two.int()) // 2).to(torch.uint8)  # exact
    torch.testing.assert_close(fitted(mean), (fitted(one) + fitted(two)) / 2, atol=1e-4, rtol=0)


def test_blurs_are_gaussian() -> None:
    # One bright pixel, far from the borders, on a grid as fine as the frame: each copy shows the blur itself.
    widths = (1 / 16, 1 / 8)
    encoder = PyramidEncoder(1, blurs=widths, blur_weights=(1, 1), grids=((64, 64), (64, 64)), color_weights=(1, 1, 1))
    encoder = encoder.double()
    frame = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    frame[0, 32, 32] = 255
    copies = encoder.samples(frame)[0, 0].view(2, 64, 64, 3)
    assert copies[..., 1:].abs().max() < 1e-9  # white is lightness alone
    copies = copies / 3**0.5  # of which it has as much as of red, green and blue together
    away = torch.arange(64) - 32
    for copy_, width in zip(copies, widths, strict=True):
        sigma = width * 64
        bell = torch.exp(-(away**2) / (2 * sigma**2)) / (sigma * (2 * torch.pi) ** 0.5)
        expected = torch.outer(bell, bell).double() / 64  # a copy is weighted as a mean over its samples
        inside = slice(16, 49)
        torch.testing.assert_close(
            copy_[inside, inside, 0], expected[inside, inside], atol=expected.max() * 0.01, rtol=0
        )


def test_components_are_orthonormal_and_decorrelate(discs: torch.Tensor) -> None:
    encoder = PyramidEncoder(16, blurs=(1 / 8, 1 / 4)).double()
    share = encoder.fit(discs)
    gram = encoder.components @ encoder.components.T
    torch.testing.assert_close(gram, torch.eye(16, dtype=torch.float64), atol=1e-9, rtol=0)
    tokens = encoder(discs)[:, 0]
    covariance = tokens.T.cov(correction=0)
    variance = covariance.diag()
    assert (variance.diff() <= 0).all()
    torch.testing.assert_close(covariance, variance.diag(), atol=1e-9, rtol=0)
    assert variance.mean().item() == pytest.approx(1)
    assert tokens.mean(0).abs().max() < 1e-9
    samples = encoder.samples(discs)[:, 0]
    kept = variance.sum() / encoder.scale**2 / samples.var(0, correction=0).sum()
    assert share == pytest.approx(kept.item())
    # No other 16 directions keep more: their share is that of the largest singular values.
    singular = torch.linalg.svdvals(samples - samples.mean(0)).square()
    assert share == pytest.approx((singular[:16].sum() / singular.sum()).item())


def test_all_components_give_the_samples_back(discs: torch.Tensor) -> None:
    encoder = PyramidEncoder(3 * (16 + 4), blurs=(1 / 5, 2 / 5), grids=((4, 4), (2, 2))).double()
    assert encoder.fit(discs) == pytest.approx(1)
    samples = encoder.samples(discs)[:, 0]
    back = encoder(discs)[:, 0] / encoder.scale @ encoder.components + encoder.mean
    torch.testing.assert_close(back, samples, atol=1e-9, rtol=0)
    # So distances between tokens are distances between weighted, blurred frames.
    torch.testing.assert_close(torch.pdist(encoder(discs)[:, 0]), torch.pdist(samples) * encoder.scale)


def test_fitting_is_deterministic_and_takes_batches(discs: torch.Tensor) -> None:
    one, two, three = (PyramidEncoder(16, blurs=(1 / 12, 1 / 6)) for _ in range(3))
    shares = [one.fit(discs), two.fit(discs), three.fit(iter([discs[:77], discs[77:78], discs[78:]]))]
    assert torch.equal(one.components, two.components)
    assert shares[2] == pytest.approx(shares[0])
    torch.testing.assert_close(three.components[:8], one.components[:8], atol=1e-3, rtol=0)
    largest = one.components.gather(1, one.components.abs().argmax(1, keepdim=True))
    assert (largest > 0).all()
    torch.testing.assert_close(one(discs[:3]), torch.stack([one(frame) for frame in discs[:3]]), atol=1e-5, rtol=1e-5)


def test_weights_say_what_counts(discs: torch.Tensor) -> None:
    blind = PyramidEncoder(4, blurs=(1 / 8,), color_weights=(0, 1, 1))
    blind.fit(discs)
    lighter = discs[:5] // 2 + 100  # half as colourful, and lighter
    darker = discs[:5] // 2
    torch.testing.assert_close(blind(lighter), blind(darker), atol=1e-4, rtol=0)
    colorless = PyramidEncoder(4, blurs=(1 / 8,), color_weights=(1, 0, 0))
    colorless.fit(discs)
    torch.testing.assert_close(colorless(discs[:5]), colorless(discs[:5].roll(1, -1)), atol=1e-4, rtol=0)
    plain, heavy = PyramidEncoder(4, blur_weights=(1, 1, 1, 1)), PyramidEncoder(4, blur_weights=(1, 3, 1, 1))
    fine, second = 12 * 12 * 3, 6 * 6 * 3
    one, other = plain.samples(discs[:1])[0, 0], heavy.samples(discs[:1])[0, 0]
    torch.testing.assert_close(other[fine : fine + second], 3 * one[fine : fine + second])
    torch.testing.assert_close(other[:fine], one[:fine])


def test_equal_weights_leave_distances_as_they_are_in_red_green_and_blue() -> None:
    encoder = PyramidEncoder(3, blurs=(1 / 2,), grids=((1, 1),), color_weights=(1, 1, 1)).double()
    colors = torch.tensor([[65, 105, 225], [119, 136, 153], [255, 255, 255]], dtype=torch.uint8)
    samples = encoder.samples(colors[:, None, None].expand(3, 8, 8, 3))[:, 0]
    torch.testing.assert_close(torch.pdist(samples), torch.pdist(colors.double()) / 255)


def test_scenes_are_not_told_apart_but_what_moves_in_each_is(discs: torch.Tensor) -> None:
    dark = (discs.int() * 2 // 3).to(torch.uint8)
    green = discs.clone()
    green[:, 20:40, :, 1] = 200
    scenes = [discs, dark, green]
    encoder = PyramidEncoder(32).double()
    kept = encoder.fit(*scenes)
    tokens = [encoder(scene)[:, 0] for scene in scenes]
    for token in tokens:
        assert token.mean(0).abs().max() < 1e-9
    # One scale: the mean over scenes and numbers of the variance is 1, and no scene is next to invisible.
    variances = torch.stack([token.var(0, correction=0).sum() for token in tokens])
    assert variances.mean().item() / 32 == pytest.approx(1, rel=0.2)
    assert variances.min() > 0.1 * variances.max()
    assert 0.8 < kept <= 1
    # As one scene, the components would show little but which scene it is.
    together = PyramidEncoder(32).double()
    together.fit(iter(scenes))
    ratio = together(discs)[:, 0].var(0).sum() / together(torch.cat(scenes))[:, 0].var(0).sum()
    assert ratio < 0.2


@pytest.mark.parametrize("size", [48, 96, 224])
def test_frames_of_another_size_give_nearly_the_same_tokens(fitted: PyramidEncoder, size: int) -> None:
    places = [(20, 20), (40, 25), (32, 50)]
    here = fitted(torch.stack([disc(*place) for place in places]))
    there = fitted(torch.stack([disc(*place, size=size) for place in places]))
    assert (there - here).norm() < 0.05 * here.norm()


def test_a_token_sees_its_own_cell_and_all_cells_share_components() -> None:
    encoder = PyramidEncoder(8, tokens=(4, 4), blurs=(1 / 32, 1 / 16))
    assert encoder.settings()["grids"] == [[24, 24], [12, 12]]
    places = [(x, y) for x in range(0, 64, 4) for y in range(0, 64, 4)]
    encoder.fit(torch.stack([disc(x, y) for x, y in places]))
    assert encoder.grid(64, 64) == (4, 4)
    white = encoder(torch.full((64, 64, 3), 255, dtype=torch.uint8))
    seen = (encoder(disc(24, 40)) - white).norm(dim=-1).view(4, 4)  # the disc is in row 2, column 1
    assert seen.argmax() == 2 * 4 + 1
    assert seen[0].max() < 1e-3 * seen.max()
    moved = (encoder(disc(40, 24)) - white).view(4, 4, 8)
    torch.testing.assert_close(moved[1, 2], (encoder(disc(24, 40)) - white).view(4, 4, 8)[2, 1], atol=2e-2, rtol=0)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_shape_and_setting_that_is_accepted_works(data: st.DataObject) -> None:
    tokens = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    first = data.draw(st.floats(0.08, 0.4))
    ratios = data.draw(st.lists(st.floats(1.5, 3), max_size=2))
    blurs = [first]
    for ratio in ratios:
        blurs.append(blurs[-1] * ratio)
    weights = data.draw(st.none() | st.just([1.0] * len(blurs)))
    components = data.draw(st.integers(1, 3))
    encoder = PyramidEncoder(components, tokens=tokens, blurs=blurs, blur_weights=weights)
    height, width = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    lead = data.draw(st.lists(st.integers(0, 3), max_size=2))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 9)))
    seen = torch.randint(0, 256, (8, height, width, 3), dtype=torch.uint8, generator=generator)
    assert 0 < encoder.fit(seen) <= 1 + 1e-6
    frames = torch.randint(0, 256, (*lead, height + 1, width + 2, 3), dtype=torch.uint8, generator=generator)
    out = encoder(frames)
    rows, columns = encoder.grid(height + 1, width + 2)
    assert (rows, columns) == tokens
    assert out.shape == (*lead, rows * columns, components)
    assert torch.isfinite(out).all()
    again = PyramidEncoder(**encoder.settings())
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again(frames), out)


def test_using_it_before_it_is_fitted_says_what_to_do(discs: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="fit"):
        PyramidEncoder()(discs[:1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_components": 0}, naming("num_components", 0)),
        ({"num_components": 580}, naming("num_components", 579, 580)),
        ({"tokens": (0, 1)}, "tokens"),
        ({"blurs": ()}, "blurs"),
        ({"blurs": (0.1, 0.12)}, "blurs"),
        ({"blurs": (-0.1,)}, "blurs"),
        ({"blur_weights": (1, 1)}, naming("blur_weights", 4)),
        ({"grids": ((8, 8),)}, naming("grids", 4)),
        ({"grids": ((8, 8), (4, 4), (2, 2), (1, 1)), "tokens": (2, 2)}, naming("grids", "tokens")),
        ({"color_weights": (1, 1)}, naming("color_weights", 3)),
        ({"color_weights": (0, 0, 0)}, "color_weights"),
        ({"color_weights": (1e308, 6, 6)}, naming("color_weights", "1e-06", 1e308)),
        ({"color_weights": (1e-9, 0, 0)}, naming("color_weights", "1e-06", 1e-9)),
        ({"blur_weights": (1e308, 1, 1, 1)}, naming("blur_weights", "1e-06", 1e308)),
        ({"tokens": (512, 512), "blurs": [0.1], "grids": [(512, 512)]}, naming("tokens", 65536, 512)),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PyramidEncoder(**wrong)


def test_what_cannot_be_fitted_on_is_refused(discs: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="look the same"):
        PyramidEncoder(4).fit(discs[:1].expand(9, 64, 64, 3))
    with pytest.raises(ValueError, match=naming(2)):
        PyramidEncoder(4).fit(discs[:1])
    with pytest.raises(ValueError, match=naming(2)):
        PyramidEncoder(4).fit(discs, [])
    with pytest.raises(ValueError, match="got none"):
        PyramidEncoder(4).fit()
    with pytest.raises(TypeError, match="uint8"):
        PyramidEncoder(4).fit(discs.float())


def test_it_encodes_many_frames_a_second(fitted: PyramidEncoder, discs: torch.Tensor) -> None:
    # Alone on a core it does some 35,000; a machine that runs other tests beside this one may be far slower.
    def seconds() -> float:
        start = time.perf_counter()
        fitted(discs)
        return time.perf_counter() - start

    assert len(discs) / min(seconds() for _ in range(10)) > 2_000
