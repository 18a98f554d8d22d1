"""Explorers: figures with sliders on the code of the lecture. One file each; core.py is what they share."""

from .denoising import Denoising
from .noise_schedules import NoiseSchedules
from .score_and_eps import ScoreAndEps

__all__ = ["Denoising", "NoiseSchedules", "ScoreAndEps"]
