"""Explorers: figures with sliders on the code of the lecture. One file each, on what `engine` offers."""

from .posterior import Posterior
from .score_and_eps import ScoreAndEps

__all__ = ["Posterior", "ScoreAndEps"]
