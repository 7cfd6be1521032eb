"""Whatever predicts frames: functions, and COSMOS's pipeline of the real class with random weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from naming import naming
from squares import SIDE, Squares

from wmcontrol import PyramidEncoder
from wmcontrol.forecasting import Case, Film, ForecastProtocol, SurpriseProtocol, forecast
from wmcontrol.forecasting.baselines import CosmosFrames, FrameForecaster
from wmcontrol.forecasting.surprises import window_surprise

SMALL = ForecastProtocol(context_frames=3, step=1, short=2, mid=4, target=8)


def moving(frames: np.ndarray, count: int) -> np.ndarray:
    """Everything moves on by a pixel in each frame, as the squares do."""
    return np.stack([np.roll(frames[-1], step + 1, 1) for step in range(count)])


def staying(frames: np.ndarray, count: int) -> np.ndarray:
    return frames[-1:].repeat(count, 0)


def test_who_predicts_all_frames_foresees_all_tokens(encoder: PyramidEncoder) -> None:
    videos = Squares("depth", labelled=[8])
    for tile in (None, (12, 12)):  # whole frames are predicted, and cut thereafter
        protocol = ForecastProtocol(context_frames=3, step=1, short=2, mid=4, target=8, tile=tile, tile_stride=4)
        cases = [*protocol.cases(), Case("direct", 4, 1)]
        knows = forecast(FrameForecaster(moving, encoder), None, videos, protocol=protocol, cases=cases, batch=3)
        copies = forecast(FrameForecaster(staying, encoder), None, videos, protocol=protocol, cases=cases)
        for case in cases:
            assert knows.token_error("model", case.name).value < 1e-6
            assert copies.error_of_copying(case.name).value == pytest.approx(1, rel=1e-5)
            assert copies.token_error("copy_last", case.name).value > 0.01


@pytest.mark.parametrize("way", ["rollout", "direct"])
def test_surprise_is_the_error_of_the_tokens_of_predicted_frames(way: str, encoder: PyramidEncoder) -> None:
    frames = Squares("depth")[0].frames[:6].copy()
    frames[5] = 0
    protocol = SurpriseProtocol(window=6, frame_step=1, contexts=(2,), way=way)
    found = window_surprise(FrameForecaster(moving, encoder), Film("film", frames, np.arange(6) / 10), protocol)
    black, square = encoder(torch.from_numpy(np.stack([frames[5], moving(frames[:2], 4)[3]])))
    assert found[0, 0] == pytest.approx(float((black - square).abs().mean()) / 4, rel=1e-4)


def test_what_are_no_frames_and_times_between_steps_are_refused(encoder: PyramidEncoder) -> None:
    videos = Squares("depth", 1, labelled=[8])
    for wrong, facts in (
        (lambda frames, count: frames[:1], ("predict", (2, SIDE, SIDE, 3), (1, SIDE, SIDE, 3))),
        (lambda frames, count: frames[:2] / 255, ("predict", "uint8", "float64")),
        (lambda frames, count: None, ("predict", "NoneType")),
    ):
        with pytest.raises(ValueError, match=naming(*facts)):
            forecast(FrameForecaster(wrong, encoder), None, videos, protocol=SMALL)
    protocol = ForecastProtocol(context_frames=3, step=2, target=8)
    with pytest.raises(ValueError, match=naming(0.2, 0.3)):
        forecast(FrameForecaster(moving, encoder), None, videos, protocol=protocol, cases=[Case("between", 3, 1)])


def test_digests_tell_functions_and_encoders(encoder: PyramidEncoder) -> None:
    other = PyramidEncoder(8, tokens=(4, 4))
    found = {FrameForecaster(f, e).digest() for f in (moving, staying) for e in (encoder, other)}
    assert len(found) == 4
    assert FrameForecaster(moving, encoder).digest() in found
    settings: list[Any] = [{"seed": 1}, {"seed": 2}, {"size": (16, 32)}, {"name": "a"}, {"name": "b"}]
    assert len({FrameForecaster(CosmosFrames(None, **each), encoder).digest() for each in settings}) == 5


class Recording:
    """A pipeline that goes on with the last frame, and keeps what it was given."""

    def __call__(self, video: np.ndarray, num_frames: int, **more: Any) -> Any:
        self.video, self.more = video, more
        self.frames = [np.concatenate([video, video[-1:].repeat(num_frames - len(video), 0)])]
        return self


def test_frames_are_fitted_with_black_bands_and_come_back_without_them() -> None:
    pipeline = Recording()
    frames = np.zeros((11, 10, 20, 3), np.uint8)
    frames[:, :, 10:] = (200, 100, 50)
    frames[:9] = 7  # of 11 frames it is given the last 9
    predict = CosmosFrames(pipeline, size=(32, 40), num_frames=17)
    found = predict(frames, 5)
    assert found.shape == (5, 10, 20, 3)
    assert np.abs(np.delete(found.astype(int) - frames[-1], [9, 10], 2)).max() <= 1  # but for the edge, which blurs
    assert pipeline.video.shape == (9, 32, 40, 3)
    assert pipeline.more["height"] == 32
    assert (pipeline.video[:, :6] == 0).all()
    assert (pipeline.video[:, 26:] == 0).all()
    assert np.allclose(pipeline.video[0, 6:26], 7 / 255)
    assert np.allclose(pipeline.video[-1, 6:26, 30], np.array([200, 100, 50]) / 255)
    with pytest.raises(ValueError, match=naming("frames", 9, 8)):
        predict(frames[:8], 1)
    with pytest.raises(ValueError, match=naming("frames", 8, 9)):
        predict(frames, 9)
    with pytest.raises(ValueError, match=naming("num_frames", 9)):
        CosmosFrames(pipeline, num_frames=9)


class Trusting:
    """In the place of the safety checker, which is a package of its own with large weights."""

    def to(self, device: Any) -> None: ...

    def check_text_safety(self, text: str) -> bool:
        return True

    def check_video_safety(self, video: np.ndarray) -> np.ndarray:
        return video


def cosmos() -> Any:
    """COSMOS's pipeline, in small."""
    diffusers = pytest.importorskip("diffusers", minversion="0.34", reason="the extra vae is not installed")
    transformers = pytest.importorskip("transformers", reason="the extra encoders is not installed")
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    torch.manual_seed(0)
    words = Tokenizer(WordLevel({"<pad>": 0, "<unk>": 1}, unk_token="<unk>"))
    return diffusers.CosmosVideoToWorldPipeline(
        text_encoder=transformers.T5EncoderModel(
            transformers.T5Config(vocab_size=2, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
        ),
        tokenizer=transformers.PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", model_max_length=512
        ),
        transformer=diffusers.CosmosTransformer3DModel(
            in_channels=5,
            out_channels=4,
            num_attention_heads=2,
            attention_head_dim=16,
            num_layers=1,
            mlp_ratio=2,
            text_embed_dim=32,
            adaln_lora_dim=4,
            max_size=(4, 32, 32),
            patch_size=(1, 2, 2),
            rope_scale=(2.0, 1.0, 1.0),
            concat_padding_mask=False,  # with it, torchvision is needed
            extra_pos_embed_type="learnable",
        ),
        vae=diffusers.AutoencoderKLCosmos(
            in_channels=3,
            out_channels=3,
            latent_channels=4,
            encoder_block_out_channels=(8, 8, 8, 8),
            decode_block_out_channels=(8, 8, 8, 8),
            attention_resolutions=(8,),
            resolution=64,
            num_layers=1,
            patch_size=4,
            patch_type="haar",
            scaling_factor=1.0,
            spatial_compression_ratio=4,
            temporal_compression_ratio=4,
        ),
        scheduler=diffusers.EDMEulerScheduler(
            sigma_min=0.002,
            sigma_max=80,
            sigma_data=0.5,
            sigma_schedule="karras",
            num_train_timesteps=1000,
            prediction_type="epsilon",
            rho=7.0,
            final_sigmas_type="sigma_min",
        ),
        safety_checker=Trusting(),
    )


def test_cosmos_is_judged_by_the_frames_that_it_predicts(encoder: PyramidEncoder) -> None:
    pipeline = cosmos()
    pipeline.set_progress_bar_config(disable=True)
    predict = CosmosFrames(pipeline, size=(32, 32), context_frames=5, num_frames=9, num_steps=2)
    videos = Squares("depth", 1, labelled=[8])
    protocol = ForecastProtocol(context_frames=5, step=1, short=1, mid=3, target=8)
    found = forecast(FrameForecaster(predict, encoder), None, videos, protocol=protocol)
    wrong = []
    for case in protocol.cases():
        last = 8 - case.distance
        frame = predict(videos[0].frames[last - 4 : last + 1], case.distance)[-1]
        guess, true = encoder(torch.from_numpy(np.stack([frame, videos[0].frames[8]])))
        wrong.append(float((guess - true).abs().mean()))
        # Two steps of random weights make much of a rounding.
        assert found.token_error("model", case.name).value == pytest.approx(wrong[-1], rel=5e-3)
    assert 0 < min(wrong) < max(wrong)


def test_folders_without_a_pipeline_are_named(tmp_path: Path) -> None:
    pytest.importorskip("diffusers", reason="the extra vae is not installed")
    with pytest.raises(OSError, match=naming(tmp_path, "model_index.json")):
        CosmosFrames.load(tmp_path)
    with pytest.raises(ValueError, match=naming("dtype", "int8")):
        CosmosFrames.load(tmp_path, dtype="int8")
