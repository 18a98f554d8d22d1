"""Explorers: figures with sliders on the code of the lecture. One file each, on what `engine` offers."""

from .elbo_terms import ElboTerms
from .elbo_totals import ElboTotals
from .guidance import Guidance
from .posterior import Posterior
from .sampler_race import SamplerRace
from .sde_and_ode import SdeAndOde

__all__ = ["ElboTerms", "ElboTotals", "Guidance", "Posterior", "SamplerRace", "SdeAndOde"]
