"""The likelihood by the probability-flow ODE, which moves points and tells how their density changes.

Along the ODE v = dx/du of `sde_samplers` the log-density changes at the rate −∇·v, and at u = 1 it is known.
Equation numbers without a name are from Song, Sohl-Dickstein et al. 2021. Everything is in nats.
"""

import math

import numpy as np
import torch
from torch import Tensor

from .checks import Numbers, check_data, check_int, noise_like, sum_over_data
from .elbo import NegativeELBO, check_levels, discretized_log_prob
from .gaussian import Gaussian
from .sde import SDE, on_path
from .sde_samplers import as_batch, check_times, check_tolerances, solve, velocity
from .views import Denoiser


@torch.no_grad()
def log_likelihood(
    denoiser: Denoiser,
    x: Tensor,
    sde: SDE,
    divergence: str = "exact",
    probes: int = 1,
    rtol: float | None = None,
    atol: float | None = None,
    generator: torch.Generator | None = None,
    start: float = 0.0,
) -> Tensor:
    """log p_0(x_0) in nats: `[B, *D] -> [B]`, in float64, by the probability-flow ODE v = dx/du (eq. 39)::

        log p_0(x(0)) = log p_1(x(1)) + ∫_0^1 ∇·v(x(u), u) du,   p_1 = N(0, (signal² + sigma²) I) at u = 1

    divergence: "exact" sums all D terms ∂v_i/∂x_i. "hutchinson" takes the mean of zᵀ (∂v/∂x) z over `probes`
    random sign vectors z instead (eq. 40), the same for all u. It is unbiased, and takes `probes` backward
    passes at each u for any D. The result is the density of the *model*: if the path leaves some signal at
    u = 1, p_1 is not quite the data's marginal, and log p_0(x_0) is off by as much as log p_1(x(1)) is. rtol
    and atol are as in `sde_samplers.probability_flow`. With `start` = u the result is log p_u(x), for the
    noisy state x at u. Raises ValueError for another divergence, and unless 0 ≤ start < 1.
    """
    options = dict(divergence=divergence, probes=probes, rtol=rtol, atol=atol, generator=generator)
    return likelihood_path(denoiser, x, sde, (start, 1.0), **options)[1][0]


@torch.no_grad()
def likelihood_path(
    denoiser: Denoiser,
    x: Tensor,
    sde: SDE,
    times: Numbers,
    divergence: str = "exact",
    probes: int = 1,
    rtol: float | None = None,
    atol: float | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """The path of `log_likelihood` to u = 1: states `[len(times), B, *D]` and log p_u [len(times), B].

    x is the state at the first of `times`, which rise up to 1. Along the ODE d log p_u(x(u))/du = −∇·v.
    """
    if divergence not in ("exact", "hutchinson"):
        raise ValueError(f'divergence must be "exact" or "hutchinson"; got {divergence!r}')
    x, times = check_data(x, "x"), check_times(times, "rise")
    if times[-1] != 1:
        raise ValueError(f"times must end at 1, where the density is known; got {times.tolist()}")
    tolerances = check_tolerances(denoiser, x, rtol, atol)
    predict, _ = on_path(denoiser, x, sde)
    x, B = x.double(), len(x)
    if divergence == "exact":
        vectors = torch.eye(math.prod(x.shape[1:])).to(x).reshape(-1, 1, *x.shape[1:])
    else:
        draws = x.expand(check_int(probes, "probes", 1), *x.shape)
        vectors = noise_like(draws, generator).sign() / math.sqrt(probes)

    def field(u: float, y: np.ndarray) -> np.ndarray:
        with torch.enable_grad():
            x_u = as_batch(y[:-B], x).requires_grad_()
            v = velocity(predict, x_u, u, sde)
        trace = x.new_zeros(B)
        for z in vectors:
            (pulled,) = torch.autograd.grad(v, x_u, z.expand_as(x), retain_graph=True)
            trace = trace + sum_over_data(pulled * z)
        return torch.cat([v.detach().flatten(), trace]).cpu().numpy()

    y = solve(field, torch.cat([x.flatten(), x.new_zeros(B)]), times, *tolerances)
    states, traces = as_batch(y[:, :-B], x, len(times)), torch.as_tensor(y[:, -B:]).to(x)
    signal, sigma = sde.marginal(1)
    prior = Gaussian(x.new_zeros(()), signal**2 + sigma**2)
    return states, prior.log_prob(states[-1]) + traces[-1] - traces


@torch.no_grad()
def ode_elbo(
    denoiser: Denoiser,
    x0: Tensor,
    sde: SDE,
    start: float,
    levels: int = 256,
    divergence: str = "exact",
    probes: int = 1,
    rtol: float | None = None,
    atol: float | None = None,
    generator: torch.Generator | None = None,
) -> NegativeELBO:
    """An upper bound on −log P(x_0) in nats, by the ODE, for data on `levels` values from −1 to 1::

        −log P(x_0) ≤ E[log q(x_u|x_0) − log p_u(x_u)] + E[−log p(x_0|x_u)]      u = start, x_u ~ q(x_u|x_0)

    It is the ELBO of a chain with one step, whose prior is the ODE's density p_u (`log_likelihood`). So it
    has the same three terms, with diffusion 0. Dequantisation gives values on levels a density. Here it is
    the forward process up to `start`, noise that the denoiser knows (as in Zheng et al. 2023, whose noise is
    truncated). p(x_0|x_u) is the discretized decoder of `elbo`, around x̂_0(x_u) with standard deviation
    sigma/signal. Estimated with one draw. Raises ValueError unless 0 < start < 1, and for data that is not on
    the levels.
    """
    check_levels(check_data(x0, "x0"), levels)
    if not 0 < start < 1:
        raise ValueError(f"start must lie between 0 and 1; got {start}")
    signal, sigma = sde.marginal(start)
    q = Gaussian(signal.to(x0) * x0, sigma**2)
    x = q.sample(generator)
    options = dict(divergence=divergence, probes=probes, rtol=rtol, atol=atol, generator=generator)
    prior = q.log_prob(x) - log_likelihood(denoiser, x, sde, start=start, **options)
    predict, _ = on_path(denoiser, x, sde)
    guess = predict(x, torch.tensor(start, dtype=torch.float64)).x0
    reconstruction = -discretized_log_prob(x0, guess, (sigma / signal).item(), levels)
    return NegativeELBO(prior, x0.new_zeros(len(x0), 2), reconstruction, math.prod(x0.shape[1:]))
