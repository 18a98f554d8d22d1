"""Diffusion in continuous time: the forward SDE, the reverse SDE, and the ODE that has the same marginals.

Time u runs from 0 (data) to 1 (noise), so that t = T·u. Every SDE here is linear in x, with one g for all
coordinates:

    dx = a(u) x du + g(u) dw   hence   x(u) = signal(u) x_0 + sigma(u) ε,
    signal' = a signal,   (sigma²)' = 2 a sigma² + g²

(Song, Sohl-Dickstein et al. 2021, eq. 5 and appendix B; equation numbers without a name are from there.)
`sde.schedule(T)` is its path as two tables, on which denoisers, samplers and the ELBO work as ever.

All functions take any denoiser, made for any schedule. What matters to it is the signal-to-noise ratio alone,
so it is asked at the t where *its* schedule has the SNR of u, about an x scaled to fit that schedule. One
call beforehand, at t = 1, finds out which schedule that is. The functions that draw are generators, like the
samplers; in their Steps t is the u reached.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from .checks import check_data, check_int, check_t, noise_like, per_example, sum_over_data
from .elbo import NegativeELBO, check_levels, discretized_log_prob
from .gaussian import Gaussian
from .samplers import Step
from .schedules import NoiseSchedule, signal_sigma
from .views import Denoiser, Prediction

# At u = 0 itself ε̂ is 0/0, so below this the ODE's field is held still. It hardly moves there, if the data
# has a density. (Song et al. stop their likelihood ODE at 1e-5 instead.)
DATA_END = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class SDE:
    """dx = a(u) x du + g(u) dw and its solution x(u) = signal(u) x_0 + sigma(u) ε (eq. 5; eq. 29).

    a, g: u -> number. path: u -> (signal, sigma), with path(0) = (1, 0). All take float64 tensors.
    """

    name: str
    a: Callable[[Tensor], Tensor]
    g: Callable[[Tensor], Tensor]
    path: Callable[[Tensor], tuple[Tensor, Tensor]]

    def __repr__(self) -> str:
        return f"SDE({self.name!r})"

    def drift(self, x: Tensor, u) -> Tensor:
        """f(x, u) = a(u) x. x [B, *D]; u in [0, 1], one number or [B]. ValueError where a is infinite."""
        return per_example(self._finite(self.a, u), check_data(x, "x")) * x

    def diffusion(self, u) -> Tensor:
        """g(u), in float64, of u's shape. ValueError where it is infinite."""
        return self._finite(self.g, u)

    def marginal(self, u) -> tuple[Tensor, Tensor]:
        """signal(u) and sigma(u) of x(u) = signal x_0 + sigma ε, in float64, each of u's shape (eq. 29)."""
        return self.path(_unit(u, "u"))

    def schedule(self, T: int = 1000) -> NoiseSchedule:
        """The path at u = 0, 1/T, …, 1: tables for t = T·u."""
        u = torch.arange(check_int(T, "T", 1) + 1, dtype=torch.float64) / T
        return NoiseSchedule(*self.path(u), self.name)

    def _finite(self, coefficient, u) -> Tensor:
        values = coefficient(_unit(u, "u"))
        if not values.isfinite().all():
            raise ValueError(f"the {self.name} SDE has infinite coefficients at u = 1 (zero SNR): keep below")
        return values


def vp(beta_min: float = 0.1, beta_max: float = 20.0) -> SDE:
    """Variance-preserving, the limit of DDPM's chain: dx = −½ β x du + √β dw (eq. 11; appendix C).

    β(u) rises linearly from beta_min to beta_max, which are T times those of `schedules.linear(T)`. With
    B(u) = ∫_0^u β: signal = e^(−B/2), sigma² = 1 − e^(−B). Raises ValueError unless 0 < beta_min ≤ beta_max.
    """
    beta, integral = _beta(beta_min, beta_max)
    return SDE(
        "vp",
        a=lambda u: -beta(u) / 2,
        g=lambda u: beta(u).sqrt(),
        path=lambda u: (torch.exp(-integral(u) / 2), (-torch.expm1(-integral(u))).sqrt()),
    )


def sub_vp(beta_min: float = 0.1, beta_max: float = 20.0) -> SDE:
    """Like `vp`, with less noise at every u: g² = β (1 − e^(−2B)), sigma = 1 − e^(−B) (eq. 12, 29)."""
    beta, integral = _beta(beta_min, beta_max)
    return SDE(
        "sub-vp",
        a=lambda u: -beta(u) / 2,
        g=lambda u: (beta(u) * -torch.expm1(-2 * integral(u))).sqrt(),
        path=lambda u: (torch.exp(-integral(u) / 2), -torch.expm1(-integral(u))),
    )


def _beta(beta_min: float, beta_max: float):
    """β(u), linear from beta_min to beta_max, and its integral from 0 to u."""
    if not 0 < beta_min <= beta_max < math.inf:
        raise ValueError(f"beta_min must lie above 0 and up to beta_max; got {beta_min}, {beta_max}")
    rise = beta_max - beta_min
    return (lambda u: beta_min + rise * u), (lambda u: beta_min * u + rise * u**2 / 2)


def ve(sigma_min: float = 0.01, sigma_max: float = 50.0) -> SDE:
    """Variance-exploding: nothing shrinks, g = s(u) √(2 ln r), s = sigma_min r^u, r = sigma_max/sigma_min.

    (Eq. 9; appendix C.) Its solution has sigma² = s² − sigma_min². Where the paper writes s²,
    noise of sigma_min is left at u = 0. Raises ValueError unless 0 < sigma_min < sigma_max.
    """
    if not 0 < sigma_min < sigma_max < math.inf:
        raise ValueError(f"sigma_min must lie above 0 and below sigma_max; got {sigma_min}, {sigma_max}")
    log_r = math.log(sigma_max / sigma_min)
    return SDE(
        "ve",
        a=torch.zeros_like,
        g=lambda u: sigma_min * torch.exp(log_r * u) * math.sqrt(2 * log_r),
        path=lambda u: (torch.ones_like(u), sigma_min * torch.expm1(2 * log_r * u).sqrt()),
    )


def straight() -> SDE:
    """The straight line x(u) = (1 − u) x_0 + u ε of rectified flow (Liu et al. 2022, eq. 1).

    That paper has an ODE only, and u the other way round. The SDE with this path follows from signal' = a
    signal and g² = (sigma²)' − 2 a sigma²: a = −1/(1 − u), g² = 2u/(1 − u), both infinite at u = 1, where
    the SNR is 0. So what simulates the SDE must stay below u = 1, and close to it forward steps are coarse,
    however short; the ODE is not concerned.
    """
    return SDE(
        "straight",
        a=lambda u: -1 / (1 - u),
        g=lambda u: (2 * u / (1 - u)).sqrt(),
        path=lambda u: (1 - u, u),
    )


@torch.no_grad()
def forward_sde(x0: Tensor, sde: SDE, times, generator: torch.Generator | None = None) -> Iterator[Tensor]:
    """The forward SDE by Euler–Maruyama: x ← x + f(x, u) h + g(u) √h z, h the step (eq. 5).

    x0 [B, *D] is the state at the first of `times`, which rise within [0, 1]. Yields the state at each of
    the others. Its error falls with order 1 in h; `marginal` needs no steps. Raises ValueError for other
    times, and at u = 1 of the straight path.
    """
    x, times = check_data(x0, "x0"), _check_times(times, "rise")
    sde.diffusion(times)  # raises where it is infinite, also at the last of the times
    for u, s in pairwise(times):
        h = s - u
        x = x + h * sde.drift(x, u) + h.sqrt() * sde.diffusion(u) * noise_like(x, generator)
        yield x


@torch.no_grad()
def reverse_sde(
    denoiser: Denoiser, x_T: Tensor, sde: SDE, times, generator: torch.Generator | None = None
) -> Iterator[Step]:
    """The reverse SDE, dx = [f − g² score] du + g dw̄ (eq. 6), by Euler–Maruyama.

    x_T [B, *D] is the state at the first of `times`, which fall within [0, 1], as torch.linspace(1, 0, 1001)
    does. A step that ends at u = 0 adds no noise. Raises ValueError for other times, and at u = 1 of the
    straight path.
    """
    yield from predictor_corrector(denoiser, x_T, sde, times, corrector_steps=0, generator=generator)


@torch.no_grad()
def predictor_corrector(
    denoiser: Denoiser,
    x_T: Tensor,
    sde: SDE,
    times,
    corrector_steps: int = 1,
    r: float = 0.16,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Predictor–corrector sampling (algorithms 2 to 5): each step of `reverse_sde`, then Langevin steps.

    The corrector leaves u as it is and moves x towards the marginal there: x ← x + ε score + √(2ε) z, with
    ε = 2 (r ‖z‖/‖score‖)². For the norms stand their root mean squares over the whole batch, so r, the
    signal-to-noise ratio of a step, wants a batch of many numbers; the factor α_i of algorithm 5, close to 1,
    is left out. No correction at u = 0, which has no ε̂. x_T and times are as in `reverse_sde`. Raises
    ValueError as it does, and for r ≤ 0.
    """
    if not 0 < r < math.inf:
        raise ValueError(f"r must be above 0 and finite; got {r}")
    check_int(corrector_steps, "corrector_steps", 0)
    x, times = check_data(x_T, "x_T"), _check_times(times)
    sde.diffusion(times)  # raises where it is infinite
    predict, calls = _on_path(denoiser, x, sde), 1
    for u, s in pairwise(times):
        prediction, g, h = predict(x, u), sde.diffusion(u), u - s
        x = x - h * (sde.drift(x, u) - g**2 * _score(prediction, u, sde))
        calls += 1
        if s > 0:
            x = x + h.sqrt() * g * noise_like(x, generator)
            for _ in range(corrector_steps):
                score = _score(predict(x, s), s, sde)
                power = (score**2).mean()
                if power == 0:
                    raise ValueError(f"r sets no step where the denoiser's score is 0 everywhere: u = {s}")
                x = _langevin(x, score, 4 * r**2 / power, generator)
                calls += 1
        yield Step(s.item(), x, prediction, calls)


@torch.no_grad()
def annealed_langevin(
    denoiser: Denoiser,
    x_T: Tensor,
    sde: SDE,
    times,
    steps: int = 100,
    rate: float = 0.2,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Annealed Langevin dynamics, as in NCSN: x ← x + ½ α score + √α z, `steps` times at each noise level.

    (Song & Ermon 2019, algorithm 1.) α = rate · sigma(u)²; their ε/sigma_L² is rate here, and 0.2 as they set
    it. `times` are the levels, falling within (0, 1]: on `ve` equally spaced u give their geometric sequence
    of sigmas. Yields one Step a level, the last prediction in it. What is left at the end has the last
    level's noise, and Langevin's own error, a few per cent of sigma²: no step is accepted or rejected.
    """
    if not 0 < rate < math.inf:
        raise ValueError(f"rate must be above 0 and finite; got {rate}")
    check_int(steps, "steps", 1)
    x, times = check_data(x_T, "x_T"), _check_times(times, least=1)
    if times[-1] == 0:
        raise ValueError("times must stay above 0: without noise there is no noise level to sample at")
    predict, calls = _on_path(denoiser, x, sde), 1
    for u in times:
        for _ in range(steps):
            prediction = predict(x, u)
            x = _langevin(x, _score(prediction, u, sde), rate * sde.path(u)[1] ** 2, generator)
        calls += steps
        yield Step(u.item(), x, prediction, calls)


@torch.no_grad()
def probability_flow(
    denoiser: Denoiser, x: Tensor, sde: SDE, times=(1.0, 0.0), rtol: float = 1e-8, atol: float = 1e-8
) -> Tensor:
    """The ODE with the SDE's marginals, dx/du = f − ½ g² score (eq. 13), solved adaptively (SciPy's DOP853).

    x [B, *D] is the state at the first of `times`, and the result [len(times), B, *D], in float64, holds it
    at all of them. Falling times turn noise into data, rising ones data into noise, and one undoes the
    other. rtol and atol bound the error of a step, as a root mean square over the whole batch; those of a
    network in float32 need not be below 1e-5. Raises ValueError for times that turn or stand still.
    """
    check_data(x, "x")
    times = _check_times(times, "fall, or rise,")
    predict = _on_path(denoiser, x, sde)

    def field(u, y):
        return _velocity(predict, _tensor(y, x), u, sde).flatten().cpu().numpy()

    return _tensor(_solve(field, x.double().flatten(), times, rtol, atol), x, len(times))


@torch.no_grad()
def log_likelihood(
    denoiser: Denoiser,
    x: Tensor,
    sde: SDE,
    divergence: str = "exact",
    probes: int = 1,
    rtol: float = 1e-8,
    atol: float = 1e-8,
    generator: torch.Generator | None = None,
    start: float = 0.0,
) -> Tensor:
    """log p_0(x_0) in nats: [B, *D] -> [B], in float64, by the probability-flow ODE v = dx/du (eq. 39):

        log p_0(x(0)) = log p_1(x(1)) + ∫_0^1 ∇·v(x(u), u) du,   p_1 = N(0, (signal² + sigma²) I) at u = 1

    divergence: "exact" sums all D of ∂v_i/∂x_i; "hutchinson" takes zᵀ (∂v/∂x) z instead, with the mean over
    `probes` random sign vectors z (eq. 40), the same for all u: unbiased and, for D of any size, `probes`
    backward passes at each u. It is the density of the *model*: where the path leaves some signal, p_1 is
    not quite the data's marginal, and log p_0(x_0) is off by as much as log p_1(x(1)) is. rtol and atol are
    those of `probability_flow`. With `start` = u it is log p_u(x), the density of the noisy state x at u.
    Raises ValueError for another divergence, and unless 0 ≤ start < 1.
    """
    options = dict(divergence=divergence, probes=probes, rtol=rtol, atol=atol, generator=generator)
    return likelihood_path(denoiser, x, sde, (start, 1.0), **options)[1][0]


@torch.no_grad()
def likelihood_path(
    denoiser: Denoiser,
    x: Tensor,
    sde: SDE,
    times,
    divergence: str = "exact",
    probes: int = 1,
    rtol: float = 1e-8,
    atol: float = 1e-8,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """What `log_likelihood` meets on its way to u = 1: states [len(times), B, *D], log p_u [len(times), B].

    x is the state at the first of `times`, which rise up to 1. Along the ODE d log p_u(x(u))/du = −∇·v.
    """
    if divergence not in ("exact", "hutchinson"):
        raise ValueError(f'divergence must be "exact" or "hutchinson"; got {divergence!r}')
    x, times = check_data(x, "x").double(), _check_times(times, "rise")
    if times[-1] != 1:
        raise ValueError(f"times must end at 1, where the density is known; got {times.tolist()}")
    predict, B = _on_path(denoiser, x, sde), len(x)
    if divergence == "exact":
        vectors = torch.eye(math.prod(x.shape[1:])).to(x).reshape(-1, 1, *x.shape[1:])
    else:
        draws = x.expand(check_int(probes, "probes", 1), *x.shape)
        vectors = noise_like(draws, generator).sign() / math.sqrt(probes)

    def field(u, y):
        v, pull = torch.func.vjp(lambda x: _velocity(predict, x, u, sde), _tensor(y[:-B], x))
        trace = sum(sum_over_data(pull(z.expand_as(x).contiguous())[0] * z) for z in vectors)
        return torch.cat([v.flatten(), trace]).cpu().numpy()

    y = _solve(field, torch.cat([x.flatten(), x.new_zeros(B)]), times, rtol, atol)
    states, traces = _tensor(y[:, :-B], x, len(times)), torch.as_tensor(y[:, -B:]).to(x)
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
    rtol: float = 1e-8,
    atol: float = 1e-8,
    generator: torch.Generator | None = None,
) -> NegativeELBO:
    """An upper bound on −log P(x_0) in nats, by the ODE, for data on `levels` values from −1 to 1:

        −log P(x_0) ≤ E[log q(x_u|x_0) − log p_u(x_u)] + E[−log p(x_0|x_u)]      u = start, x_u ~ q(x_u|x_0)

    It is the ELBO of a chain with one step, whose prior is the ODE's density p_u (`log_likelihood`); hence
    the same three terms, without diffusion. The dequantisation, by which values on levels get a density, is
    the forward process itself up to `start`, noise that the denoiser knows (Zheng et al. 2023, section 4.1).
    p(x_0|x_u) is the discretized decoder of `elbo`, around x̂_0(x_u) with standard deviation sigma/signal.
    Estimated with one draw. Raises ValueError unless 0 < start < 1, and for data that is not on the levels.
    """
    check_levels(check_data(x0, "x0"), levels)
    if not 0 < start < 1:
        raise ValueError(f"start must lie between 0 and 1; got {start}")
    signal, sigma = sde.marginal(start)
    q = Gaussian(signal.to(x0) * x0, sigma**2)
    x = q.sample(generator)
    options = dict(divergence=divergence, probes=probes, rtol=rtol, atol=atol, generator=generator)
    prior = q.log_prob(x) - log_likelihood(denoiser, x, sde, start=start, **options)
    guess = _on_path(denoiser, x, sde)(x, torch.tensor(start, dtype=torch.float64)).x0
    reconstruction = -discretized_log_prob(x0, guess, (sigma / signal).item(), levels)
    return NegativeELBO(prior, x0.new_zeros(len(x0), 2), reconstruction, math.prod(x0.shape[1:]))


def _unit(u, name: str) -> Tensor:
    """u as float64, [] or [B], within [0, 1]."""
    try:
        u = torch.as_tensor(u, dtype=torch.float64)
    except (TypeError, RuntimeError, ValueError):
        raise ValueError(f"{name} must be numbers in [0, 1]; got {u!r}") from None
    return check_t(u, 1, real=True, name=name)


def _check_times(times, way: str = "fall", least: int = 2) -> Tensor:
    """times as float64, at least `least` of them, each below (or above) the one before, within [0, 1]."""
    times = _unit(times, "times")
    signs = times.flatten().diff().sign()
    allowed = {"fall": [-1], "rise": [1], "fall, or rise,": [-1, 1]}[way]
    if times.ndim == 0 or len(times) < least or not any((signs == sign).all() for sign in allowed):
        raise ValueError(f"times must {way} at every step, {least} of them or more; got {times.tolist()}")
    return times


def _on_path(denoiser: Denoiser, x: Tensor, sde: SDE) -> Callable[[Tensor, Tensor], Prediction]:
    """The denoiser as a function of (x, u): asked where its own schedule has the SNR of u.

    Its x̂_0 and ε̂ are those of u. (Its score is that of the scaled x: see `_score`.)
    """
    schedule = denoiser(x, 1).schedule

    def predict(x: Tensor, u: Tensor) -> Prediction:
        signal, sigma = sde.path(u)
        t = _time_at_snr(schedule, 2 * (signal.log() - sigma.log()), u)
        own_signal, own_sigma = signal_sigma(schedule, t, u)
        scaled = x * (torch.hypot(own_signal, own_sigma) / torch.hypot(signal, sigma))
        prediction = denoiser(scaled, t)
        check_data(prediction.x0, f"x̂_0 at u = {u}", x.shape)
        return prediction

    return predict


def _time_at_snr(schedule: NoiseSchedule, log_snr: Tensor, u: Tensor) -> Tensor:
    """The real t at which `schedule` has this log SNR: what `signal_sigma` does between steps, undone."""
    lowest = schedule.log_snr[-1]
    if log_snr < lowest - 1e-9:
        raise ValueError(
            f"the denoiser's log SNR ends at {lowest:.3f}; the SDE's is {log_snr:.3f} at u = {u}"
        )
    right = int((schedule.log_snr[:-1] > log_snr).sum())  # t lies in (right − 1, right]
    before, after = schedule.log_snr[right - 1 : right + 1]
    if before.isinf() and after.isinf():
        part = torch.sigmoid(-log_snr / 2)
    elif before.isinf():
        part = torch.exp((after - log_snr) / 2)
    elif after.isinf():
        part = -torch.expm1((log_snr - before) / 2)
    else:
        part = (log_snr - before) / (after - before)
    return right - 1 + part.clamp(max=1)


def _score(prediction: Prediction, u: Tensor, sde: SDE) -> Tensor:
    """∇ log q_u(x) = −ε̂/sigma(u)."""
    return -prediction.eps / sde.path(u)[1]


def _langevin(x: Tensor, score: Tensor, size: Tensor, generator) -> Tensor:
    """x + ½ size · score + √size z: a step of Langevin dynamics, which keeps the density if it is small."""
    return x + size / 2 * score + size.sqrt() * noise_like(x, generator)


def _velocity(predict, x: Tensor, u: float, sde: SDE) -> Tensor:
    """dx/du of the probability-flow ODE, as signal' x̂_0 + sigma' ε̂.

    With x = signal x̂_0 + sigma ε̂ and score = −ε̂/sigma, that is f − ½ g² score, without anything infinite at
    zero SNR. On the straight path it is ε̂ − x̂_0.
    """
    u = torch.tensor(u, dtype=torch.float64).clamp(min=DATA_END)
    signal_rate, sigma_rate = torch.func.jacrev(sde.path)(u)
    prediction = predict(x, u)
    return signal_rate * prediction.x0 + sigma_rate * prediction.eps


def _tensor(y, x: Tensor, *lead: int) -> Tensor:
    """A solver's vector of numbers as a float64 batch like x."""
    return torch.as_tensor(y, dtype=torch.float64).to(x.device).reshape(*lead, *x.shape)


def _solve(field, start: Tensor, times: Tensor, rtol: float, atol: float):
    """The solution of dy/du = field(u, y) at each of times: [len(times), len(start)]."""
    try:
        from scipy.integrate import solve_ivp
    except ImportError as error:
        raise ImportError("the ODE is solved by SciPy, which is missing: pip install scipy") from error
    if not (0 < rtol < math.inf and 0 < atol < math.inf):
        raise ValueError(f"rtol and atol must be above 0 and finite; got {rtol}, {atol}")
    span = (times[0].item(), times[-1].item())
    done = solve_ivp(
        field, span, start.cpu().numpy(), method="DOP853", t_eval=times.numpy(), rtol=rtol, atol=atol
    )
    if not done.success:
        raise RuntimeError(f"the ODE solver gave up: {done.message}")
    return done.y.T
