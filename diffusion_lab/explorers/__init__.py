"""Explorers: figures with sliders on the code of the lecture. One file each, on what `engine` offers."""

from .chain_and_jump import ChainAndJump
from .denoising import Denoising
from .elbo_terms import ElboTerms
from .elbo_totals import ElboTotals
from .guidance import Guidance
from .noise_schedules import NoiseSchedules
from .one_step import OneStep
from .own_data import OwnData
from .posterior import Posterior
from .sample_metrics import SampleMetrics
from .sampler_race import SamplerRace
from .score_and_eps import ScoreAndEps
from .sde_and_ode import SdeAndOde
from .training_replay import TrainingReplay

__all__ = ["ChainAndJump", "Denoising", "ElboTerms", "ElboTotals", "Guidance"]
__all__ += ["NoiseSchedules", "OneStep", "OwnData", "Posterior", "SampleMetrics"]
__all__ += ["SamplerRace", "ScoreAndEps", "SdeAndOde", "TrainingReplay"]
