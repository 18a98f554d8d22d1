"""The one distribution that everything here is built from: a Gaussian with a diagonal covariance.

q(x_t|x_0), q(x_{t-1}|x_t,x_0) and p_θ(x_{t-1}|x_t) are all of this form, and the terms of the ELBO are
Kullback–Leibler divergences between two of them.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import Reals, check_data, noise_like, sum_over_data


@dataclass(frozen=True, eq=False)
class Gaussian:
    """N(mean, var · I): mean `[B, *D]`; `var` is the *variance*, one number or like mean.

    A mean without any axis is the same number in every coordinate. A variance of 0 is a point mass: it can be
    sampled, but it has no density. Raises ValueError if var is negative, not finite, or does not fit the
    mean.
    """

    mean: Tensor
    var: Tensor

    def __init__(self, mean: Reals, var: Reals) -> None:
        mean = check_data(torch.as_tensor(mean), "mean")
        var = check_data(torch.as_tensor(var, dtype=mean.dtype, device=mean.device), "var")
        fits = var.ndim == mean.ndim and all(v in (1, m) for v, m in zip(var.shape, mean.shape, strict=True))
        if var.ndim > 0 and not fits:
            raise ValueError(f"var must be one number or fit mean, {list(mean.shape)}; got {list(var.shape)}")
        if (var < 0).any():
            raise ValueError(f"var must not be negative; its smallest value is {var.min().item()}")
        vars(self).update(mean=mean, var=var)  # past the frozen dataclass

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """One draw, mean + √var · ε with ε ~ N(0, I), of the mean's shape."""
        return self.mean + self.var.sqrt() * noise_like(self.mean, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """log N(x; mean, var) in nats, summed over the data's axes: `[B, *D] -> [B]`."""
        _check_batch(check_data(x, "x", self.mean.shape if self.mean.ndim else None), "x")
        _check_density(self, "log_prob")
        return -0.5 * sum_over_data((x - self.mean) ** 2 / self.var + (2 * math.pi * self.var).log())


def kl(p: Gaussian, q: Gaussian) -> Tensor:
    """KL(p ‖ q) in nats, per example: [B]. It is never negative, and 0 only where p = q.

    Per coordinate: ½ [ (v_p − v_q)/v_q − log(v_p/v_q) + (μ_p − μ_q)²/v_q ]  (Kingma & Welling 2014,
    appendix B, for q = N(0, I)). Raises ValueError if either is a point mass, or if their shapes differ (q's
    mean may be one number).
    """
    _check_batch(p.mean, "p.mean")
    _check_density(p, "kl")
    _check_density(q, "kl")
    if q.mean.ndim and p.mean.shape != q.mean.shape:
        raise ValueError(f"p and q must have one shape; got {list(p.mean.shape)} and {list(q.mean.shape)}")
    excess = (p.var - q.var) / q.var  # v_p/v_q − 1
    # log(v_p/v_q): log1p for ratios near 1, where two logs would cancel; two logs for ratios near 0
    log_ratio = torch.where(excess > -0.5, torch.log1p(excess), p.var.log() - q.var.log())
    return 0.5 * sum_over_data(excess - log_ratio + (p.mean - q.mean) ** 2 / q.var)


def _check_density(p: Gaussian, what: str) -> None:
    if (p.var == 0).any():
        raise ValueError(f"{what} needs a variance above 0: a point mass has no density")


def _check_batch(x: Tensor, name: str) -> None:
    if x.ndim == 0:
        raise ValueError(f"{name} must be a batch [B, *D]; got one number, {x.item()}")
