"""Noise schedules side by side: their tables, what they do to a digit and a cloud, how near to noise they
end."""

import functools

import numpy as np
import torch

from .. import data
from ..checks import noise_like
from ..forward import q_marginal, q_sample
from ..gaussian import Gaussian, kl
from ..schedules import SCHEDULES, zero_terminal_snr
from .core import PALETTE, Choice, Explorer, Scene, Slider, Toggle
from .figures import LOG, cloud, colored, framed, image, layout, on, panel, plane, span, title

COLORS = [PALETTE["blue"], PALETTE["vermillion"], PALETTE["green"]]
NOT_NOISE = 0.05  # √ᾱ_T above which the sampler's start, pure noise, is visibly not what training ended with


class NoiseSchedules(Explorer):
    """Up to three schedules at a time; the main slider is t.

    Numbers for each: what is left of the data's amplitude at t and at the end (√ᾱ), and the prior term L_T
    of the ELBO, the mean over the training digits in bits per dimension.
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

    def scene(self, *, first, second, third, T, beta_T, s, tau, zero_snr):
        names = [name for name in dict.fromkeys([first, second, third]) if name != "none"]
        options = dict(
            linear=dict(beta_T=beta_T), quadratic=dict(beta_T=beta_T), cosine=dict(s=s), sigmoid=dict(tau=tau)
        )
        schedules = {name: SCHEDULES[name](T, **options[name]) for name in names}
        if zero_snr:
            schedules = {name: zero_terminal_snr(schedule) for name, schedule in schedules.items()}
        times = np.unique(np.linspace(0, T, min(T, 200) + 1).round().astype(int)).tolist()

        typical, digit, digit_noise, points, point_noise = examples()
        ends = {name: schedule.signal[-1].item() for name, schedule in schedules.items()}
        prior = {name: prior_bits(typical, schedule) for name, schedule in schedules.items()}

        traces, frames = curves(schedules), [{} for _ in times]
        for i, schedule in enumerate(schedules.values()):
            here = len(traces)
            traces += [image(digit[0, 0], 4 + 2 * i), cloud(points, 5 + 2 * i, COLORS[i], size=3)]
            digit_t, points_t = (
                q_sample(
                    x.expand(len(times), *x.shape),
                    torch.tensor(times),
                    schedule,
                    noise.expand(len(times), *x.shape),
                )
                for x, noise in ((digit[0, 0], digit_noise[0, 0]), (points, point_noise))
            )
            for frame, z, xy in zip(frames, digit_t, points_t, strict=True):
                frame[here] = {"z": z}
                frame[here + 1] = {"x": xy[:, 0], "y": xy[:, 1]}
        for panel_number, table in enumerate(("beta", "alpha_bar", "log_snr")):
            stacked = torch.stack([getattr(schedule, table) for schedule in schedules.values()])
            for frame, t in zip(frames, times, strict=True):
                frame[panel_number] = {"x": [t] * len(names), "y": finite(stacked[:, t])}

        numbers = [{} for _ in times]
        for name, schedule in schedules.items():
            for row, t in zip(numbers, times, strict=True):
                row[f"{name}: √ᾱ_t"] = schedule.signal[t].item()
            for row in numbers:
                row[f"{name}: √ᾱ_T"], row[f"{name}: L_T bits/dim"] = ends[name], prior[name]
        loud = [f"{name} (√ᾱ_T = {end:.2g})" for name, end in ends.items() if end > NOT_NOISE]
        return Scene(
            figure={"data": traces, "layout": self.panels(T, schedules)},
            positions=times,
            frames=frames,
            numbers=numbers,
            sentences=[says(schedules, t) for t in times],
            warning=f"The end is not noise: {', '.join(loud)}. A sampler starts from pure noise."
            if loud
            else "",
            code=[self.lines(first, options[first], T, zero_snr, t) for t in times],
            alt=f"β_t, ᾱ_t and log SNR of {', '.join(names)}; below, a digit and two moons noised by each.",
            digits=3,
        )

    @staticmethod
    def panels(T, schedules):
        betas, log_snrs = ([getattr(s, table) for s in schedules.values()] for table in ("beta", "log_snr"))
        per_step = LOG | dict(range=span(*betas, log=True))
        axis = dict(title=title("t"), range=[-0.02 * T, 1.02 * T])
        thirds = [(0.0, 0.28), (0.36, 0.64), (0.72, 1.0)]
        rows = [
            panel(1, thirds[0], (0.48, 1), "β_t: variance added", axis, per_step),
            panel(2, thirds[1], (0.48, 1), "ᾱ_t: share of the data left", axis, dict(range=[-0.05, 1.05])),
            panel(3, thirds[2], (0.48, 1), "log SNR (nats)", axis, dict(nticks=6, range=span(*log_snrs))),
        ]
        for i, name in enumerate(schedules):
            left, right = thirds[i]
            heading = colored(COLORS[i], f"{name}: x_t")
            rows += [
                panel(4 + 2 * i, (left, left + 0.135), (0, 0.28), **framed(4 + 2 * i, 8, 8)),
                panel(5 + 2 * i, (right - 0.135, right), (0, 0.28), **plane(2.5, 5 + 2 * i, ticks=False)),
                dict(annotations=panel(0, (left, right), (0, 0.28), heading)["annotations"]),
            ]
        return layout(*rows, height=420, margin=dict(l=48, r=20, t=28, b=12))

    @staticmethod
    def lines(name, options, T, zero_snr, t):
        arguments = ", ".join(f"{key}={value:.4g}" for key, value in dict(T=T, **options).items())
        return "\n".join(
            [
                "from diffusion_lab import data, forward, schedules",
                "",
                f"schedule = schedules.{name}({arguments})",
                *(["schedule = schedules.zero_terminal_snr(schedule)"] if zero_snr else []),
                "schedule.signal[-1]                              # √ᾱ_T: what is left at the end",
                "images, labels = data.digits()",
                f"x_t = forward.q_sample(images[:1], {t}, schedule)   # √ᾱ_t x_0 + √(1 − ᾱ_t) ε",
            ]
        )


@functools.cache
def examples():
    """The digits' root mean square, pixel by pixel; a digit and a cloud, each with its noise for every t."""
    generator = torch.Generator().manual_seed(0)
    images, _ = data.digits()
    points = data.moons(200, generator)
    typical = images.double().square().mean(0, keepdim=True).sqrt()
    return typical, images[:1], noise_like(images[:1], generator), points, noise_like(points, generator)


def prior_bits(typical, schedule) -> float:
    """L_T = KL(q(x_T|x_0) ‖ N(0, I)), the mean over the data, in bits per dimension.

    It is quadratic in x_0: the mean over all images is its value at their root mean square `typical` [1,
    *D].
    """
    nats = kl(q_marginal(typical, schedule.T, schedule), Gaussian(typical.new_zeros(()), 1.0))
    return nats.item() / (typical.numel() * np.log(2))


def finite(values) -> list:
    """Infinite entries as None, which plotly leaves out."""
    return [v if np.isfinite(v) else None for v in values.tolist()]


def curves(schedules) -> list[dict]:
    """Three traces of markers at the slider's t; then each schedule's β, ᾱ and log SNR."""
    marker = dict(size=9, color=COLORS[: len(schedules)], line=dict(width=1.5, color="white"))
    dots = [
        dict(type="scatter", mode="markers", marker=marker, cliponaxis=False, hoverinfo="skip", **on(n))
        for n in (1, 2, 3)
    ]
    lines = []
    for color, (name, schedule) in zip(COLORS, schedules.items(), strict=False):
        keep = np.unique(np.linspace(0, schedule.T, min(schedule.T, 400) + 1).round().astype(int))
        for n, table in enumerate((schedule.beta, schedule.alpha_bar, schedule.log_snr), 1):
            y = [v if n != 1 or v else None for v in finite(table[keep])]
            lines.append(
                dict(
                    type="scatter",
                    x=keep,
                    y=y,
                    mode="lines",
                    name=name,
                    line=dict(color=color, width=2, simplify=False),
                    **on(n),
                )
            )
    return dots + lines


def says(schedules, t: int) -> str:
    """What to see at t: how much of the picture each schedule has left."""
    shares = [f"{name} keeps {schedule.alpha_bar[t].item():.0%}" for name, schedule in schedules.items()]
    return f"At t = {t} of the data's variance {', '.join(shares)}; the rest of x_t is noise."
