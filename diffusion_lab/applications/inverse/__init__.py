"""Restoring: what was the picture x_0, if all we have of it is y = A x_0 + noise?

`measurement` says how y comes about. `posterior` gives the exact answer where the data is a Gaussian
mixture. The methods give an answer for any denoiser, and each is wrong in its own way: `replacement` and
`repaint` paste the known part in at every step, `dps` and `pigdm` add an approximate gradient of log p(y|x_t)
to the score.
"""

from .dps import dps
from .measurement import Measurement, blur, fourier, linear, mask, pool, radon
from .pigdm import pigdm
from .posterior import evidence, exact_guidance, gaussian_posterior, measured, posterior
from .repaint import repaint
from .replacement import replacement

__all__ = [
    "Measurement",
    "blur",
    "dps",
    "evidence",
    "exact_guidance",
    "fourier",
    "gaussian_posterior",
    "linear",
    "mask",
    "measured",
]
__all__ += ["pigdm", "pool", "posterior", "radon", "repaint", "replacement"]
