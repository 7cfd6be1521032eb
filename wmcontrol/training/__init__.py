"""Training predictors on stored tokens: without actions on clips of video, and with them in three modes.

Letters: ``B`` clips, ``T`` frames of a clip, ``P`` patches of a frame, ``D`` numbers of a token, ``A`` numbers of a
model action.
"""

from .batch import Batch, ClipSource, Source, WindowSource
from .decoding import DecoderResult, fit_decoder
from .descent import descend
from .distributed import DistributedContext, distributed
from .finetuning import FinetuneResult, finetune
from .losses import PredictionLoss
from .modes import Mode, with_actions
from .pretraining import PretrainResult, pretrain
from .prior import HindsightBatch, HindsightWindows, PriorResult, PriorSettings, fit_prior
from .rewards import RewardResult, fit_reward
from .settings import FinetuneSettings, PretrainSettings, TrainingSettings
from .steps_to_go import StepsToGoResult, StepsToGoSettings, fit_steps_to_go
from .temporal_embedding import TemporalEmbeddingResult, TemporalEmbeddingSettings, fit_temporal_embedding
from .trainer import Trainer
from .validation import PredictionError, held_out_clips, prediction_error

__all__ = [
    "Batch",
    "ClipSource",
    "DecoderResult",
    "DistributedContext",
    "FinetuneResult",
    "FinetuneSettings",
    "HindsightBatch",
    "HindsightWindows",
    "Mode",
    "PredictionError",
    "PredictionLoss",
    "PretrainResult",
    "PretrainSettings",
    "PriorResult",
    "PriorSettings",
    "RewardResult",
    "Source",
    "StepsToGoResult",
    "StepsToGoSettings",
    "TemporalEmbeddingResult",
    "TemporalEmbeddingSettings",
    "Trainer",
    "TrainingSettings",
    "WindowSource",
    "descend",
    "distributed",
    "finetune",
    "fit_decoder",
    "fit_prior",
    "fit_reward",
    "fit_steps_to_go",
    "fit_temporal_embedding",
    "held_out_clips",
    "prediction_error",
    "pretrain",
    "with_actions",
]
