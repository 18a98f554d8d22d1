"""The ELBO step by step: what every step costs, in bits per dimension, and what L_simple makes of it.

One measurement serves every schedule, T and variance. With signal² + sigma² = 1, what a denoiser sees at
a log SNR is the same on each schedule, so its error E‖ε − ε̂‖² is a function of log SNR alone (Kingma et al.
2021, section 5.1). A schedule only chooses the places t = 1…T on that curve; Ho et al. 2020, eq. 12, does the
rest:

    L_{t−1} = w_t E‖ε − ε̂‖² + const
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import CubicSpline, PchipInterpolator

from .. import data, schedules
from ..elbo import discretized_log_prob, reverse_variance, simple_weights
from ..exact import GaussianMixture
from ..forward import q_sample
from ..gaussian import Gaussian, kl
from .core import GREY, PALETTE, Choice, Explorer, Scene, Slider, shipped, text, trained
from .figures import LOG, colored, layout, on, panel, span, title
from .noise_schedules import NOT_NOISE, prior_bits

STEPS = ["25", "50", "100", "200", "500", "1000"]
# The usual linear β belong to T = 1000: with fewer steps they must grow, or the end is not noise
SCALED, UNSCALED = "linear, β · 1000/T", "linear, unscaled β"
SCHEDULES = {"cosine": "cosine", "sigmoid": "sigmoid", SCALED: "linear", UNSCALED: "linear"}
NAMES = {"mixture": dict(exact="exact", learned="network")}
NAMES |= {"digits": dict(exact="class Gaussians", learned="network")}
OTHER = dict(small="large", large="small", exact="learned", learned="exact")
HERE, SIMPLE, WEIGHT = PALETTE["vermillion"], PALETTE["purple"], PALETTE["sky"]
LINES = [PALETTE["blue"], PALETTE["orange"], PALETTE["green"]]  # chosen, other variance, other denoiser
BARS = 100  # at most: with more steps than that, each bar is the sum over several


class ElboTerms(Explorer):
    """The main slider is t; the term at t is L_{t−1}, and at t = 1 that is L_0.

    Data: points of the 2-D mixture, in expectation, where exact is the exact denoiser; or 100 held-out digits
    with 17 grey levels, where exact is that of one Gaussian per class, fitted to the training images, and
    nobody is told the class. The network is asked at those of its own 1000 steps that have the log SNR in
    question, and its error interpolated between 36 of them.

    Numbers: L_{t−1} in bits/dim; the weight w_t and the error E‖ε − ε̂‖²/D, whose product is L_{t−1} in nats,
    up to the large variance's constant; all that is paid from L_T down to t; the shares that the steps 2…t
    have of Σ L_{t−1} and of Σ L_simple; L_T, L_0 and the total, also with the other variance and with the
    other denoiser; the entropy of the data, where it is known.
    """

    title = "The ELBO, term by term"
    portable = ("source", "denoiser", "variance", "schedule")
    source = Choice("mixture", list(NAMES), label="data")
    denoiser = Choice("exact", ["exact", "learned"])
    variance = Choice("small", ["small", "large"])
    schedule = Choice("cosine", list(SCHEDULES))
    T = Choice("50", STEPS, label="T")
    t = Slider(5, 1, 1000, main=True)

    def scene(self, *, source, denoiser, variance, schedule, T):
        T = int(T)
        chosen = (denoiser, variance), (denoiser, OTHER[variance]), (OTHER[denoiser], variance)
        bounds = [{int(n): bound(source, *who, schedule, int(n)) for n in STEPS} for who in chosen]
        names = [f"{NAMES[source][who]}, {var}" for who, var in chosen]
        times, now = positions(T), bounds[0][T]
        parts = {"L_T": now.prior, "L_0": now.terms[1], "total (bits/dim)": now.total}
        parts |= {f"total, {name}": each[T].total for name, each in zip(names[1:], bounds[1:], strict=True)}
        parts |= {"entropy of the data": entropy()} if source == "mixture" else {}
        numbers = []
        for t in times:
            row = {"L_(t−1) (bits/dim)": now.terms[t], "w_t": now.weights[t], "E‖ε − ε̂‖²/D": now.errors[t]}
            row |= {"paid from T down to t": now.paid[t]}
            row |= {"of Σ L_(t−1), steps 2…t": percent(now.share(now.terms, t))}
            row |= {"of Σ L_simple, steps 2…t": percent(now.share(now.errors, t))}
            numbers.append(row | parts)
        traces, frames = draw(bounds, T, times)
        end = make(schedule, T).signal[-1].item()
        loud = (
            f"The end is not noise (√ᾱ_T = {end:.2g}): L_T = {text(now.prior, 3)} bits/dim are paid for it."
        )
        return Scene(
            figure={"data": traces, "layout": axes(bounds, names, T, source, variance)},
            positions=times,
            frames=frames,
            numbers=numbers,
            sentences=[says(now, t) for t in times],
            warning=loud if end > NOT_NOISE else "",
            code=[lines(source, denoiser, variance, schedule, T, t) for t in times],
            alt=[describe(now, t, names[0]) for t in times],
            digits=3,
        )


# ------------------------------------------------------------------------------------- the measurement
@dataclass(frozen=True, eq=False)
class Errors:
    """What a denoiser gets wrong, per coordinate, over log SNR [K], rising."""

    log_snr: np.ndarray
    eps: np.ndarray  # E‖ε − ε̂‖²/D
    last: np.ndarray  # L_0/D in nats, if this were the log SNR at t = 1

    def at(self, log_snr) -> tuple[np.ndarray, np.ndarray]:
        """Both, at other log SNRs: interpolated, E‖ε − ε̂‖² by its logarithm, L_0 without overshooting."""
        log_snr = np.minimum(log_snr, self.log_snr[-1])  # it is infinite at t = 0
        eps = np.exp(CubicSpline(self.log_snr, np.log(self.eps))(log_snr))
        return eps, PchipInterpolator(self.log_snr, self.last)(log_snr)


@functools.cache
def errors(source: str, denoiser: str) -> Errors:
    """What `measured` found, which takes seconds on digits and is always the same: it ships computed."""
    found = shipped(f"errors.{source}.{denoiser}")
    return Errors(*(found[name].numpy() for name in ("log_snr", "eps", "last")))


def measured(source: str, denoiser: str) -> dict:
    """The errors at 36 steps of the network's own schedule, about evenly spaced in log SNR."""
    schedule = trained(source).schedule
    aims = torch.linspace(*schedule.log_snr[[1, 900]].tolist(), 33, dtype=torch.float64)
    times = sorted({1, *(schedule.log_snr > aims[:, None]).sum(1).tolist(), 950, 990, schedule.T})
    rows = [measure(source, denoiser, t) for t in reversed(times) if t > 0]
    columns = torch.tensor(rows, dtype=torch.float64).T
    return dict(zip(("log_snr", "eps", "last"), columns.contiguous(), strict=True))


@torch.no_grad()
def measure(source: str, denoiser: str, t: int) -> tuple[float, float, float]:
    """log SNR, E‖ε − ε̂‖²/D and L_0/D (`Errors`) at step t of the network's schedule."""
    schedule = trained(source).schedule
    snr, sigma = schedule.snr[t].item(), schedule.sigma[t].item()
    denoise = trained(source) if denoiser == "learned" else truth(source).denoiser(schedule)
    if source == "mixture":
        x0_error = error_on_mixture(denoise, t, schedule)
        last = 0.5 * (np.log(2 * np.pi * sigma**2) + x0_error / sigma**2)  # −log N(x_0; x̂_0, β_1)
    else:
        x0 = images()
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(t))
        noise = noise / noise.square().mean().sqrt()  # what ‖ε‖² would be by chance is no error of anyone
        guess = denoise(q_sample(x0, t, schedule, noise), t).x0
        x0_error = (guess - x0).square().mean().item()
        last = -discretized_log_prob(x0, guess, sigma, 17).mean().item() / x0[0].numel()
    return np.log(snr), snr * x0_error, last  # ε − ε̂ = (x̂_0 − x_0) signal/sigma


def error_on_mixture(denoise, t: int, schedule) -> float:
    """E‖x_0 − x̂_0(x_t)‖²/D on the toy mixture, by Gauss–Hermite quadrature over x_t.

    Given component k and x_t, x_0 is Gaussian: the distance of its mean from x̂_0, squared, and its variance
    add up.
    """
    mixture, (z, weights) = truth("mixture"), nodes()
    noised, (signal, sigma) = mixture.noised(t, schedule), (schedule.signal[t], schedule.sigma[t])
    std = noised.var.sqrt()[:, None]  # [K, 1, 1]
    x_t = noised.means[:, None] + std * z  # [K, N, D]
    mean = mixture.means[:, None] + signal * mixture.var[:, None] / std * z
    var = mixture.var * sigma**2 / noised.var  # [K, 1]
    guess = denoise(x_t.flatten(0, 1), t).x0.reshape(x_t.shape)
    return (mixture.weights[:, None] * weights * ((mean - guess).square().mean(2) + var)).sum().item()


@functools.cache
def entropy() -> float:
    """The toy mixture's, E[−log p(x_0)], in bits per dimension."""
    mixture, (z, weights) = truth("mixture"), nodes()
    x0 = mixture.means[:, None] + mixture.var.sqrt()[:, None] * z
    nats = -mixture.log_prob(x0.flatten(0, 1)).reshape(x0.shape[:2])
    return (mixture.weights[:, None] * weights * nats).sum().item() / (2 * np.log(2))


@functools.cache
def nodes():
    """z [N, 2] and weights [N]: E f(z) = Σ weights · f(z) for z ~ N(0, I), exact for high polynomials."""
    z, w = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(20))
    return torch.cartesian_prod(z, z), torch.outer(w, w).flatten() / w.sum() ** 2


@functools.cache
def truth(source: str) -> GaussianMixture:
    """The mixture that "exact" is exact for."""
    return data.toy_mixture() if source == "mixture" else GaussianMixture.fit(*data.digits())


@functools.cache
def images() -> torch.Tensor:
    """Held-out digits [100, 1, 8, 8]."""
    return data.digits("test")[0][:100]


# ------------------------------------------------------------------------------------- the bound
@dataclass(frozen=True, eq=False)
class Bound:
    """The terms, in bits per dimension; tables [T + 1], indexed by t."""

    prior: float  # L_T
    terms: np.ndarray  # L_{t−1} at t; entry 1 is L_0, entry 0 is 0
    weights: np.ndarray  # w_t
    errors: np.ndarray  # E‖ε − ε̂‖²/D

    @property
    def paid(self) -> np.ndarray:
        """L_T + Σ_{s≥t} L_{s−1}: all that is paid once t is done."""
        return self.prior + self.terms[::-1].cumsum()[::-1]

    @property
    def total(self) -> float:
        return self.paid[0].item()

    @staticmethod
    def share(table, t: int) -> float:
        """The part of the steps 2…t in the sum over all t ≥ 2."""
        return table[2 : t + 1].sum().item() / table[2:].sum().item()


def options(schedule: str, T: int) -> dict:
    """The arguments of the schedule's maker."""
    return dict(T=T) | (dict(beta_1=0.1 / T, beta_T=20 / T) if schedule == SCALED else {})


@functools.cache
def make(schedule: str, T: int):
    """The schedule behind each choice."""
    return schedules.SCHEDULES[SCHEDULES[schedule]](**options(schedule, T))


@functools.cache
def bound(source: str, denoiser: str, variance: str, schedule: str, T: int) -> Bound:
    """The terms of a denoiser of some data on some schedule: what it gets wrong, priced there."""
    table = make(schedule, T)
    return account(errors(source, denoiser), table, variance, prior_bits(typical(source), table))


def account(errors: Errors, schedule, variance: str, prior: float) -> Bound:
    """What each step costs: w_t E‖ε − ε̂‖² + const, where const = KL(N(0, β̃_t) ‖ N(0, variance_t))."""
    eps, last = errors.at(schedule.log_snr.numpy())
    weights = simple_weights(schedule, variance).numpy()
    right, used = (reverse_variance(schedule, which)[2:, None] for which in ("small", variance))
    zero = torch.zeros_like(right)
    const = kl(Gaussian(zero, right), Gaussian(zero, used)).numpy()
    nats = np.r_[0, last[1], weights[2:] * eps[2:] + const]
    return Bound(prior, nats / np.log(2), weights, eps)


@functools.cache
def typical(source: str) -> torch.Tensor:
    """The root mean square of the data, coordinate by coordinate: [1, *D]."""
    if source == "digits":
        return images().double().square().mean(0, keepdim=True).sqrt()
    mixture = truth(source)
    return (mixture.weights[:, None] * (mixture.means**2 + mixture.var)).sum(0, keepdim=True).sqrt()


def positions(T: int) -> list[int]:
    """Every t, or with many: the first twenty, and eighty more."""
    few = range(1, T + 1) if T <= 100 else [*range(1, 20), *np.linspace(20, T, 81).round().astype(int)]
    return np.unique(few).tolist()


# ------------------------------------------------------------------------------------- words and picture
def percent(share: float) -> str:
    """A share of 1, to three digits."""
    return f"{100 * share:.3g}%"


def says(now: Bound, t: int) -> str:
    """What to see at t."""
    if t == 1:
        said = "At t = 1 the term is L_0: what is left to say once x_1 is known."
        if now.terms[1] >= 0:
            return said
        return f"{said} A density may exceed 1, so L_0 may be negative: only the total means something."
    share, simple = (percent(now.share(table, t)) for table in (now.terms, now.errors))
    held = f"The steps from 2 to t hold {share} of the steps' cost, and {simple} of L_simple."
    times = (now.terms[t] / now.terms[2:].sum()) / (now.errors[t] / now.errors[2:].sum())
    factor = max(times, 1 / times)
    if factor < 1.2:
        return f"{held} The bound and L_simple count step t alike."
    much = f"{factor:.1f}" if factor < 10 else f"{factor:.0f}"
    who = ("The bound counts", "L_simple") if times > 1 else ("L_simple counts", "the bound")
    return f"{held} {who[0]} step t {much} times as much as {who[1]} does."


def describe(now: Bound, t: int, name: str) -> str:
    """The figure in words."""
    return (
        f"Bars: what each step costs in bits per dimension ({name}), t = {t} marked. Below: the weight w_t "
        f"and the error it multiplies, over t; the sum from T down to t, which ends at {now.total:.2f}; the "
        "total over T. The last two also with the other variance, and with the other denoiser."
    )


def bars(now: Bound, T: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Steps in a bar; L_{t−1}, and L_simple scaled to the same sum, added up over the steps of each bar.

    The first bar begins at t = 2; the last may hold fewer steps.
    """
    width = -(-T // BARS)
    starts = np.arange(0, T - 1, width)
    costs, simple = (np.add.reduceat(table[2:], starts) for table in (now.terms, now.errors))
    return width, costs, simple * costs.sum() / simple.sum()


def draw(bounds, T: int, times: list[int]):
    """The traces, and the frames that move the last four: the bar at t, a line through it, and two dots."""
    now = bounds[0][T]
    width, costs, simple = bars(now, T)
    x = 2 + (width - 1) / 2 + width * np.arange(len(costs))
    top = 1.15 * max(costs.max(), simple.max())

    bar = dict(type="bar", width=0.85 * width, hoverinfo="skip")
    line = dict(type="scatter", mode="lines", hoverinfo="skip")
    marker = dict(size=9, color=HERE, line=dict(width=1.5, color="white"))
    dots = dict(type="scatter", mode="markers", marker=marker, hoverinfo="skip", cliponaxis=False)
    traces = [bar | dict(x=x, y=costs, marker=dict(color=LINES[0]))]
    step = dict(color=SIMPLE, width=2.5, shape="hvh")
    traces.append(line | dict(x=x, y=simple, line=step))
    for table, color in ((now.weights, WEIGHT), (now.errors, SIMPLE)):
        traces.append(line | dict(x=times, y=table[times], line=dict(color=color, width=2), **on(2)))
    for color, each, thick in zip(LINES, bounds, (4, 1.5, 1.5), strict=True):
        style = line | dict(line=dict(color=color, width=thick))
        totals = [bound.total for bound in each.values()]
        traces.append(style | dict(x=times, y=each[T].paid[times], **on(3)))
        traces.append(style | dict(x=list(each), y=totals, mode="lines+markers", **on(4)))
    traces.append(dots | dict(x=[T], y=[now.total]) | on(4))

    moving = len(traces)
    traces += [bar | dict(marker=dict(color=HERE)), line | dict(line=dict(color=HERE, width=1.5))]
    traces += [dots | on(2), dots | on(3)]
    frames = []
    for t in times:
        k = [(t - 2) // width] if t > 1 else []  # L_0 has no bar
        here = [{"x": x[k], "y": costs[k]}, {"x": [t, t], "y": [0, top]}]
        here += [{"x": [t, t], "y": [now.weights[t], now.errors[t]]}, {"x": [t], "y": now.paid[[t]]}]
        frames.append(dict(enumerate(here, moving)))
    return traces, frames


def axes(bounds, names, T: int, source: str, variance: str) -> dict:
    """Four panels: the bars; below, the two factors, what is paid so far, and the total over T."""
    now = bounds[0][T]
    width, costs, simple_costs = bars(now, T)
    several = f", {width} in a bar" if width > 1 else ""
    cost = colored(LINES[0], f"what each step costs: L_(t−1){several}")
    simple = colored(SIMPLE, "L_simple, scaled to the same sum")
    rest = "  +  const" if variance == "large" else ""
    factors = f"{colored(WEIGHT, 'w_t')}  ×  {colored(SIMPLE, 'E‖ε − ε̂‖²/D')}{rest}, nats"

    over_t = dict(title=title("t"), range=[-0.03 * T, 1.03 * T], zeroline=False)
    log_t = dict(title=title("t (log scale)"), type="log", dtick=1, range=[-0.08, np.log10(T) + 0.08])
    log_T = dict(title=title("T (log scale)"), type="log", tickvals=STEPS, range=[1.32, 3.08])
    bits = dict(title=title("bits/dim"), nticks=6)
    paid, levels = [each[T].paid for each in bounds], [entropy()] if source == "mixture" else []
    in_sight = bits | dict(range=span(*paid, levels))
    highest = 1.05 * max(table.max() for table in (costs, simple_costs))
    thirds = [(0.0, 0.26), (0.38, 0.64), (0.74, 1.0)]
    panels = [
        panel(1, (0, 1), (0.56, 1), f"{cost}     {simple}", over_t, bits | dict(range=[0, highest])),
        panel(2, thirds[0], (0, 0.34), factors, log_t, LOG | dict(range=[-4, 3], dtick=2)),
        panel(3, thirds[1], (0, 0.34), "paid from T down to t", log_t, in_sight),
        panel(4, thirds[2], (0, 0.34), "total, for each T", log_T, dict(nticks=6)),
    ]
    key = [colored(color, name) for color, name in zip(LINES, names, strict=True)]
    key += [colored(GREY, "entropy (dashed)")] if source == "mixture" else []
    (key,) = panel(0, (0.38, 1), (0, 0.34), "     ".join(key))["annotations"]
    (heading,) = panels[0]["annotations"]
    first = heading | dict(text=f"L_0 = {text(now.terms[1], 3)}", x=0, xanchor="left")
    last = heading | dict(text=f"L_T = {text(now.prior, 3)}", x=1, xanchor="right")
    panels[0]["annotations"] += [key | dict(yshift=22), first, last]
    shapes = []
    if source == "mixture":
        level = dict(type="line", x0=0, x1=1, y0=entropy(), y1=entropy())
        level |= dict(line=dict(color=GREY, dash="dash", width=1.5))
        shapes = [level | dict(xref=f"x{n} domain", yref=f"y{n}") for n in (3, 4)]
    return layout(*panels, height=450, barmode="overlay", shapes=shapes)


def lines(source, denoiser, variance, schedule, T, t):
    """The same by the plain route: every x_t is drawn, and `elbo` makes every term."""
    arguments = ", ".join(f"{key}={value:g}" for key, value in options(schedule, T).items())
    term = f"diffusion[:, {t}]" if t > 1 else "reconstruction"
    learned, points = denoiser == "learned", source == "mixture"
    modules = ["data", "elbo", "schedules", *(["pretrained", "views"] if learned else [])]
    modules += [] if points or learned else ["exact"]
    code = [
        *(["import numpy as np"] if learned else []),
        "import torch",
        f"from diffusion_lab import {', '.join(sorted(modules))}",
        "",
        f"schedule = schedules.{SCHEDULES[schedule]}({arguments})",
        "generator = torch.Generator().manual_seed(0)",
        "mixture = data.toy_mixture()" if points else 'x0 = data.digits("test")[0][:100]',
        *(["x0 = mixture.sample(2000, generator)"] if points else []),
    ]
    if learned:
        code += [
            f'network = pretrained.load("{source}")',
            "own = network.schedule",
            "",
            "def denoiser(x_t, t):    # the network, at its own time with this log SNR",
            "    time = np.interp(-schedule.log_snr[t], -own.log_snr[1:], range(1, own.T + 1)).item()",
            "    return views.Prediction.from_x0(network(x_t, time).x0, x_t, t, schedule)",
            "",
        ]
    else:
        truth = "mixture" if points else "exact.GaussianMixture.fit(*data.digits())"
        code.append(f"denoiser = {truth}.denoiser(schedule)")
    decoder = "" if points else ', decoder="discretized", levels=17'
    code += [
        f'bound = elbo.elbo(denoiser, x0, schedule, "{variance}"{decoder}, generator=generator)',
        "bound.bits_per_dim.mean()    # the total",
        f"bound.{term}.mean()    # the term at t = {t}, in nats",
        f'elbo.simple_weights(schedule, "{variance}")[{t}]    # w_t',
    ]
    return "\n".join(code)
