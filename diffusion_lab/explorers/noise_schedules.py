"""Noise schedules side by side: their tables, what they do to digits, how close to noise they end."""

import numpy as np
import torch

from ..drawing import PALETTE, axis, behind, colored, curve, dots, framed, image, layout, panel, tiles
from ..engine import Choice, Explorer, Frame, Scene, Slider, Toggle, listing
from ..experiments.prior import NOT_NOISE, prior_bits, typical_digit
from ..experiments.stored import digits
from ..forward import q_sample
from ..schedules import SCHEDULES, NoiseSchedule, zero_terminal_snr

Schedules, Noised = dict[str, NoiseSchedule], tuple[NoiseSchedule, float, torch.Tensor]
OPTIONS = dict(linear="beta_T", quadratic="beta_T", cosine="s", sigmoid="tau")  # what sliders set
COLORS = [PALETTE["blue"], PALETTE["vermillion"], PALETTE["green"]]
TABLES = dict(beta="β_t: variance added", alpha_bar="ᾱ_t: share of the data left", log_snr="log SNR (nats)")


class NoiseSchedules(Explorer):
    """Up to three schedules at a time; the main slider is t.

    Numbers for each: the factor √ᾱ_t on the data at t; and the prior term L_T of the ELBO, averaged over the
    training digits, in bits per dimension.
    """

    title = "Noise schedules"
    portable = ("first", "second", "third")
    first = Choice("linear", list(SCHEDULES), label="first")
    second = Choice("cosine", ["none", *SCHEDULES])
    third = Choice("none", ["none", *SCHEDULES])
    T = Slider(1000, 10, 1000, step=10)
    beta_T = Slider(0.02, 0.01, 0.5, step=0.01, label="β_T (linear, quadratic)")
    s = Slider(0.008, 0.0, 0.2, step=0.004, label="s (cosine)")
    tau = Slider(1.0, 0.2, 2.0, step=0.1, label="τ (sigmoid)")
    zero_snr = Toggle(False, label="zero terminal SNR")
    t = Slider(300, 0, 1000, main=True)

    def scene(self, *, first: str, second: str, third: str, T: int, zero_snr: bool, **given: float) -> Scene:
        names = [name for name in dict.fromkeys([first, second, third]) if name != "none"]
        options = {name: {option: given[option]} for name, option in OPTIONS.items()}
        times = np.unique(np.linspace(0, T, min(T, 200) + 1).round().astype(int)).tolist()
        made = {name: noised(name, T, options[name], zero_snr, times) for name in names}
        schedules, frames = {name: schedule for name, (schedule, _, _) in made.items()}, []
        for k, t in enumerate(times):
            changes = {f"x_t {name}": {"z": tiles(x_t[k], 2)} for name, (_, _, x_t) in made.items()}
            numbers = {f"{name}: √ᾱ_t": schedule.signal[t].item() for name, schedule in schedules.items()}
            numbers |= {f"{name}: L_T bits/dim": L_T for name, (_, L_T, _) in made.items()}
            told = dict(name=first, T=T, options=options[first], zero_snr=zero_snr, times=[t])
            code = listing(noised, "schedule.signal[-1], L_T, x_t[0]", **told)
            alt = f"β_t, ᾱ_t and log SNR of {', '.join(names)}; below, two digits noised by each."
            changes, said = changes | marks(schedules, t), says(schedules, t)
            frames.append(Frame(t, changes, numbers, said, warns(schedules), code, alt))
        return Scene(curves(schedules), axes(T, schedules), frames, digits=3)


def noised(name: str, T: int, options: dict, zero_snr: bool, times: list[int]) -> Noised:
    """A schedule; its prior term over the training digits; two digits at some times, with the same noise."""
    schedule = SCHEDULES[name](T, **options)
    schedule = zero_terminal_snr(schedule) if zero_snr else schedule
    L_T = prior_bits(typical_digit(), schedule)  # bits per dimension
    x0 = digits("train")[0][:2].expand(len(times), 2, 1, 8, 8)  # the same two at every t
    noise = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)).expand_as(x0)
    x_t = q_sample(x0, torch.tensor(times), schedule, noise)  # √ᾱ_t x_0 + √(1 − ᾱ_t) ε
    return schedule, L_T, x_t


def marks(schedules: Schedules, t: int) -> dict:
    """The marks at t on each schedule's curves."""
    x, tables = [t] * len(schedules), list(schedules.values())
    return {f"{name} at t": {"x": x, "y": [getattr(s, name)[t].item() for s in tables]} for name in TABLES}


def curves(schedules: Schedules) -> dict:
    """Marks at the slider's t; each schedule's β, ᾱ and log SNR; its digits."""
    traces = {f"{table} at t": dots(COLORS[: len(schedules)], n) for n, table in enumerate(TABLES, 1)}
    for i, (name, schedule) in enumerate(schedules.items()):
        keep = torch.linspace(0, schedule.T, min(schedule.T, 400) + 1).round().long()
        for n, table in enumerate(TABLES, 1):
            y = getattr(schedule, table)[keep]
            y = torch.where(keep == 0, torch.nan, y) if table == "beta" else y  # β_0 = 0 has no logarithm
            traces[f"{table} {name}"] = curve(COLORS[i], n=n, x=keep, y=y)
        traces[f"x_t {name}"] = image(None, 4 + i)
    return traces


def axes(T: int, schedules: Schedules) -> dict:
    """A row of curves over a row of digits."""
    betas, _, log_snrs = ([getattr(s, table) for s in schedules.values()] for table in TABLES)
    up = [axis("", *betas, log=True), dict(range=[-0.05, 1.05]), axis("", *log_snrs, nticks=6, zeroline=True)]
    below, thirds, rows = axis("t", range=[-0.02 * T, 1.02 * T]), [(0, 0.28), (0.36, 0.64), (0.72, 1)], []
    for n, heading in enumerate(TABLES.values()):
        rows.append(panel(n + 1, thirds[n], (0.48, 1), heading, below, up[n]))
    for n, name in enumerate(schedules):
        heading = colored(COLORS[n], f"{name}: x_t")
        rows.append(panel(n + 4, thirds[n], (0, 0.27), heading, **framed(n + 4, 8, 17)))
    shapes = [behind(n + 4) for n in range(len(schedules))]
    return layout(*rows, height=420, margin=dict(l=48, r=20, t=28, b=12), shapes=shapes)


def says(schedules: Schedules, t: int) -> str:
    """What to see at t: how much of the picture each schedule has left."""
    shares = [f"{name} {schedule.alpha_bar[t].item():.0%}" for name, schedule in schedules.items()]
    return f"Variance of the data left at t = {t}: {', '.join(shares)}. The rest of x_t is noise."


def warns(schedules: Schedules) -> str:
    """A warning where too much of the data is left at the end."""
    ends = {name: schedule.signal[-1].item() for name, schedule in schedules.items()}
    loud = [f"{name} (√ᾱ_T = {end:.2g})" for name, end in ends.items() if end > NOT_NOISE]
    return f"x_T still holds data: {', '.join(loud)}. But a sampler starts from pure noise." if loud else ""
