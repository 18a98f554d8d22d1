"""Explorers: figures with sliders that run the code of the lecture. Each is one file, built on `engine`."""

from .augment import Augment
from .bill import Bill
from .chain_and_jump import ChainAndJump
from .denoising import Denoising
from .elbo_terms import ElboTerms
from .elbo_totals import ElboTotals
from .guidance import Guidance
from .latent import Latent
from .noise_schedules import NoiseSchedules
from .one_step import OneStep
from .own_data import OwnData
from .posterior import Posterior
from .repair import Repair
from .rivals import Rivals
from .sample_metrics import SampleMetrics
from .sampler_race import SamplerRace
from .say_it import SayIt
from .scanner import Scanner
from .score_and_eps import ScoreAndEps
from .sde_and_ode import SdeAndOde
from .sdedit import SdEdit
from .super_resolution import SuperResolution
from .training_replay import TrainingReplay

__all__ = ["Augment", "Bill", "ChainAndJump", "Denoising", "ElboTerms", "ElboTotals", "Guidance"]
__all__ += [
    "Latent",
    "NoiseSchedules",
    "OneStep",
    "OwnData",
    "Posterior",
    "Repair",
    "Rivals",
    "SampleMetrics",
]
__all__ += ["SamplerRace", "SayIt", "Scanner", "ScoreAndEps", "SdEdit", "SdeAndOde", "SuperResolution"]
__all__ += ["TrainingReplay"]
