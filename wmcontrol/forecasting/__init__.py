"""What predictors foresee: segmentation and depth of frames to come, what surprises them, and pictures of both.

Protocols are those of DINO-world (arXiv 2507.19468, sections 4.1 and 4.2, appendix C). Letters: ``N`` clips, ``T``
frames of a clip, ``B`` windows at once, ``P`` patches of a frame, ``D`` numbers of a token, ``C`` classes.
"""

from .forecast_result import Forecast, distance_plot, save_result
from .forecasters import Forecaster, ModelForecaster, Window
from .forecasts import forecast, how_far
from .head_training import HeadResult, HeadSettings, dense_loss, train_head
from .heads import DenseHead
from .metrics import auroc, class_iou, confusion_matrix, mean_iou, over_clips, relative_accuracy, squared_errors
from .protocols import Case, ForecastProtocol, SurpriseProtocol
from .records import Film, FilmPair, FilmPairs, LabelledVideo, LabelledVideos
from .surprises import Surprise, surprise
from .token_colors import TokenColors
from .visualization import Visualization, visualize
from .visualization_page import save_visualization

__all__ = [
    "Case",
    "DenseHead",
    "Film",
    "FilmPair",
    "FilmPairs",
    "Forecast",
    "ForecastProtocol",
    "Forecaster",
    "HeadResult",
    "HeadSettings",
    "LabelledVideo",
    "LabelledVideos",
    "ModelForecaster",
    "Surprise",
    "SurpriseProtocol",
    "TokenColors",
    "Visualization",
    "Window",
    "auroc",
    "class_iou",
    "confusion_matrix",
    "dense_loss",
    "distance_plot",
    "forecast",
    "how_far",
    "mean_iou",
    "over_clips",
    "relative_accuracy",
    "save_result",
    "save_visualization",
    "squared_errors",
    "surprise",
    "train_head",
    "visualize",
]
