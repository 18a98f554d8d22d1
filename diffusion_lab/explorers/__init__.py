"""Explorers: figures with sliders on the code of the lecture. One file each, on what `engine` offers."""

from .own_data import OwnData
from .posterior import Posterior
from .sample_metrics import SampleMetrics
from .score_and_eps import ScoreAndEps
from .training_replay import TrainingReplay

__all__ = ["OwnData", "Posterior", "SampleMetrics", "ScoreAndEps", "TrainingReplay"]
