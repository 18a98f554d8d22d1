"""Explorers: figures with sliders on the lecture's own code. One file each; core.py holds what they share."""

from .denoising import Denoising
from .noise_schedules import NoiseSchedules
from .score_and_eps import ScoreAndEps

__all__ = ["Denoising", "NoiseSchedules", "ScoreAndEps"]
