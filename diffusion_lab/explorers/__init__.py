"""Explorers: figures with sliders on the code of the lecture. One file each, on what `engine` offers."""

from .chain_and_jump import ChainAndJump
from .denoising import Denoising
from .noise_schedules import NoiseSchedules
from .one_step import OneStep
from .posterior import Posterior

__all__ = ["ChainAndJump", "Denoising", "NoiseSchedules", "OneStep", "Posterior"]
