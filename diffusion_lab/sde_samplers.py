"""Samplers in continuous time: the SDE forwards and backwards, Langevin dynamics, and the ODE.

The reverse SDE and the probability-flow ODE have the same density at every u. The SDE draws noise on its way,
the ODE does not. The samplers that draw noise are generators, as in `samplers`. In their Steps, t is the u
reached, and calls counts every call of the denoiser, including one in `sde.on_path`. Equation and algorithm
numbers without a name are from Song, Sohl-Dickstein et al. 2021.
"""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from .checks import Numbers, check_data, check_int, noise_like
from .samplers import Step
from .sde import SDE, OnPath, check_u, on_path
from .views import Denoiser

# At u = 0 itself ε̂ is 0/0, so below this u the ODE's velocity is kept constant. It hardly changes there, if
# the data has a density. (Song et al. stop their likelihood ODE at 1e-5 instead.)
DATA_END = 1e-6

Field = Callable[[float, np.ndarray], np.ndarray]  # dy/du as a function of u and y, for SciPy's solver


@torch.no_grad()
def forward_sde(
    x0: Tensor, sde: SDE, times: Numbers, generator: torch.Generator | None = None
) -> Iterator[Tensor]:
    """The forward SDE by Euler–Maruyama: x ← x + f(x, u) h + g(u) √h z with step h (eq. 5).

    x0 `[B, *D]` is the state at the first of `times`, which rise within [0, 1]. Yields the state at each of
    the others. The error is of order 1 in h; `marginal` needs no steps. Raises ValueError for other times,
    and at u = 1 of the straight path.
    """
    x, times = check_data(x0, "x0"), check_times(times, "rise")
    sde.diffusion(times)  # raises where it is infinite, also at the last of the times
    for u, s in pairwise(times):
        h, f, g = s - u, sde.a(u) * x, sde.g(u)
        x = x + f * h + g * h.sqrt() * noise_like(x, generator)
        yield x


@torch.no_grad()
def reverse_sde(
    denoiser: Denoiser, x_T: Tensor, sde: SDE, times: Numbers, generator: torch.Generator | None = None
) -> Iterator[Step]:
    """The reverse SDE, dx = [f − g² score] du + g dw̄ (eq. 6), by Euler–Maruyama.

    x_T `[B, *D]` is the state at the first of `times`, which fall within [0, 1], as torch.linspace(1, 0,
    1001) does. A step that ends at u = 0 adds no noise. Raises ValueError for other times, and at u = 1 of
    the straight path.
    """
    x, times = check_data(x_T, "x_T"), check_times(times)
    sde.diffusion(times)  # raises where it is infinite
    predict, calls = on_path(denoiser, x, sde)
    for u, s in pairwise(times):
        prediction = predict(x, u)
        calls += 1
        h, f, g, (_, sigma) = u - s, sde.a(u) * x, sde.g(u), sde.path(u)
        score = -prediction.eps / sigma
        x = x - (f - g**2 * score) * h
        if s > 0:
            x = x + g * h.sqrt() * noise_like(x, generator)
        yield Step(s.item(), x, prediction, calls)


@torch.no_grad()
def predictor_corrector(
    denoiser: Denoiser,
    x_T: Tensor,
    sde: SDE,
    times: Numbers,
    corrector_steps: int = 1,
    r: float = 0.16,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Predictor–corrector sampling (algorithms 2 to 5): each step of `reverse_sde`, then Langevin steps.

    The corrector keeps u and moves x towards the marginal there: x ← x + ε score + √(2ε) z, with
    ε = 2 (r ‖z‖/‖score‖)². The norms are root mean squares over the whole batch, so r, the signal-to-noise
    ratio of a step, needs a batch of many numbers. The factor α_i of algorithm 5, close to 1, is left out.
    There is no correction at u = 0, which has no ε̂. x_T and times are as in `reverse_sde`. Raises
    ValueError as `reverse_sde` does, and for r ≤ 0.
    """
    if not 0 < r < math.inf:
        raise ValueError(f"r must be above 0 and finite; got {r}")
    check_int(corrector_steps, "corrector_steps", 0)
    x, times = check_data(x_T, "x_T"), check_times(times)
    sde.diffusion(times)  # raises where it is infinite
    predict, calls = on_path(denoiser, x, sde)
    for u, s in pairwise(times):
        prediction = predict(x, u)
        calls += 1
        h, f, g, (_, sigma) = u - s, sde.a(u) * x, sde.g(u), sde.path(u)
        score = -prediction.eps / sigma
        x = x - (f - g**2 * score) * h
        if s > 0:
            x = x + g * h.sqrt() * noise_like(x, generator)
            _, sigma = sde.path(s)
            for _ in range(corrector_steps):
                score = -predict(x, s).eps / sigma
                calls += 1
                power = (score**2).mean()
                if power == 0:
                    raise ValueError(f"r sets no step where the denoiser's score is 0 everywhere: u = {s}")
                epsilon = 2 * r**2 / power
                x = x + epsilon * score + (2 * epsilon).sqrt() * noise_like(x, generator)
        yield Step(s.item(), x, prediction, calls)


@torch.no_grad()
def annealed_langevin(
    denoiser: Denoiser,
    x_T: Tensor,
    sde: SDE,
    times: Numbers,
    steps: int = 100,
    rate: float = 0.2,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Annealed Langevin dynamics, as in NCSN: x ← x + ½ α score + √α z, `steps` times at each noise level.

    (Song & Ermon 2019, algorithm 1.) α = rate · sigma(u)²; their ε/sigma_L² is rate here, and they use 0.2.
    `times` are the noise levels, falling within (0, 1]: on `ve`, equally spaced u give their geometric
    sequence of sigmas. Yields one Step per level, with the last prediction. The result still has the noise of
    the last level, and Langevin's own error, a few per cent of sigma²: no step is accepted or rejected.
    """
    if not 0 < rate < math.inf:
        raise ValueError(f"rate must be above 0 and finite; got {rate}")
    check_int(steps, "steps", 1)
    x, times = check_data(x_T, "x_T"), check_times(times, least=1)
    if times[-1] == 0:
        raise ValueError("times must stay above 0: without noise there is no noise level to sample at")
    predict, calls = on_path(denoiser, x, sde)
    for u in times:
        _, sigma = sde.path(u)
        alpha = rate * sigma**2
        for step in range(1, steps + 1):
            prediction = predict(x, u)
            calls += 1
            score = -prediction.eps / sigma
            x = x + alpha / 2 * score + alpha**0.5 * noise_like(x, generator)
            if step == steps:
                yield Step(u.item(), x, prediction, calls)


@torch.no_grad()
def probability_flow(
    denoiser: Denoiser,
    x: Tensor,
    sde: SDE,
    times: Numbers = (1.0, 0.0),
    rtol: float | None = None,
    atol: float | None = None,
) -> Tensor:
    """The ODE with the SDE's marginals, dx/du = f − ½ g² score (eq. 13), solved adaptively (SciPy's DOP853).

    x `[B, *D]` is the state at the first of `times`; the result `[len(times), B, *D]`, in float64, has the
    state at all of them. Falling times turn noise into data, rising times data into noise; one undoes the
    other. rtol and atol bound the error of a step, as a root mean square over the whole batch; unless given,
    they come from `tolerance`. Raises ValueError for times that neither fall nor rise throughout.
    """
    check_data(x, "x")
    times, tolerances = check_times(times, "fall, or rise,"), check_tolerances(denoiser, x, rtol, atol)
    predict, _ = on_path(denoiser, x, sde)

    def field(u: float, y: np.ndarray) -> np.ndarray:
        return velocity(predict, as_batch(y, x), u, sde).flatten().cpu().numpy()

    return as_batch(solve(field, x.double().flatten(), times, *tolerances), x, len(times))


def velocity(predict: OnPath, x: Tensor, u: float, sde: SDE) -> Tensor:
    """dx/du of the probability-flow ODE, as signal' x̂_0 + sigma' ε̂. One call of `predict`, from `on_path`.

    With x = signal x̂_0 + sigma ε̂ and score = −ε̂/sigma, this equals f − ½ g² score, but nothing in it is
    infinite at zero SNR. On the straight path it is ε̂ − x̂_0.
    """
    assert sde.rates is not None  # SDE derives them if they are not given
    now = torch.tensor(max(u, DATA_END), dtype=torch.float64)
    signal_rate, sigma_rate = sde.rates(now)
    prediction = predict(x, now)
    return signal_rate * prediction.x0 + sigma_rate * prediction.eps


def tolerance(denoiser: Denoiser, x: Tensor) -> float:
    """The default of rtol and atol: 1e-8 in float64, 1e-4 in float32, 1e-2 in half precision.

    What counts is the coarser of x's dtype and the denoiser's (`denoiser.dtype`, the dtype of its weights).
    A solver that is asked for more digits than there are mistakes rounding for a field that changes quickly,
    and takes ever smaller steps.
    """
    own = getattr(denoiser, "dtype", None) or x.dtype
    coarser = max(x.dtype, own, key=lambda dtype: torch.finfo(dtype).eps)
    return {torch.float64: 1e-8, torch.float32: 1e-4}.get(coarser, 1e-2)


def check_tolerances(
    denoiser: Denoiser, x: Tensor, rtol: float | None, atol: float | None
) -> tuple[float, float]:
    """rtol and atol, with `tolerance` for a None. Raises ValueError unless both are above 0 and finite."""
    rtol, atol = (tolerance(denoiser, x) if given is None else given for given in (rtol, atol))
    if not (0 < rtol < math.inf and 0 < atol < math.inf):
        raise ValueError(f"rtol and atol must be above 0 and finite; got {rtol}, {atol}")
    return rtol, atol


def check_times(times: Numbers, way: str = "fall", least: int = 2) -> Tensor:
    """times as float64, at least `least` of them, each below (or above) the one before, within [0, 1]."""
    times = check_u(times, "times")
    signs = times.flatten().diff().sign()
    allowed = {"fall": [-1], "rise": [1], "fall, or rise,": [-1, 1]}[way]
    if times.ndim == 0 or len(times) < least or not any((signs == sign).all() for sign in allowed):
        raise ValueError(f"times must {way} at every step, {least} of them or more; got {times.tolist()}")
    return times


def as_batch(y: np.ndarray, x: Tensor, *lead: int) -> Tensor:
    """A solver's vector of numbers as a float64 batch like x."""
    return torch.as_tensor(y, dtype=torch.float64).to(x.device).reshape(*lead, *x.shape)


def solve(field: Field, start: Tensor, times: Tensor, rtol: float, atol: float) -> np.ndarray:
    """The solution of dy/du = field(u, y) at each of times: [len(times), len(start)]."""
    try:
        from scipy.integrate import solve_ivp  # noqa: PLC0415  # slow to import, and only the ODE needs it
    except ImportError as error:
        raise ImportError("the ODE is solved by SciPy, which is missing: pip install scipy") from error
    span, wanted = (times[0].item(), times[-1].item()), times.numpy()
    done = solve_ivp(field, span, start.cpu().numpy(), method="DOP853", t_eval=wanted, rtol=rtol, atol=atol)
    if not done.success:
        raise RuntimeError(f"the ODE solver gave up: {done.message}")
    return done.y.T
