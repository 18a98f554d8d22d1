"""diffusion_lab: diffusion models you can read, move and test.

Read the modules in this order, each beside the notebook of the same name:
gaussian, schedules, forward, views, exact, elbo, steps, samplers, sde, sde_samplers, likelihood, guidance,
data, unet, training, metrics.
Import the module you need (``from diffusion_lab import schedules``). This file imports nothing itself, so
``import diffusion_lab`` costs nothing.
"""

__version__ = "0.1.0"
