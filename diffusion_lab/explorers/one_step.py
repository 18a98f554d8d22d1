"""One step of denoising, three guesses at a digit: a network's, a perfect memory's and a Gaussian's."""

import functools

import numpy as np
import torch

from .. import data
from ..exact import Empirical, GaussianMixture
from ..forward import q_marginal, q_sample
from .core import GREY, PALETTE, Choice, Explorer, Scene, Slider, Toggle, trained
from .figures import LOG, colored, framed, image, layout, on, panel, title

GUESSES = ["network", "by heart", "Gaussian"]
COLORS = dict(zip(GUESSES, (PALETTE[c] for c in ("blue", "vermillion", "green")), strict=True))
SPLITS = {"held-out": "test", "training": "train"}
FLOOR = 1e-5  # errors below it are drawn on the bottom line


class OneStep(Explorer):
    """The main slider is t, the noise ε stays the same. "By heart" is the ideal denoiser for the training
    images: the average of them all, weighted by how likely each is to lie behind x_t.

    Numbers: t and SNR_t; the mean squared error of each guess against the true x_0; the training image
    likeliest to lie behind x_t, and its probability. `told`: all three know the class. If not, the network
    is asked for any digit, the memory holds all of them, and there is one Gaussian per class.
    """

    title = "One step of denoising: learned, by heart, Gaussian"
    portable = ("source", "told")
    source = Choice("held-out", list(SPLITS), label="image from")
    index = Slider(27, 0, 359, label="image")
    told = Toggle(True, label="told the class")
    seed = Slider(0, 0, 20, label="noise (seed)")
    t = Slider(196, 1, 1000, main=True)

    def scene(self, *, source, index, told, seed):
        images, labels = digits(SPLITS[source])
        truth, label = images[[index]], int(labels[index])
        schedule, times = guessers(None)["network"].schedule, positions()
        noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))
        all_t, x0 = torch.tensor(times), truth.expand(len(times), -1, -1, -1)
        x_t = q_sample(x0, all_t, schedule, noise.expand_as(x0))  # all times in one batch
        guesses = {who: guess(x_t, all_t).x0 for who, guess in guessers(label if told else None).items()}
        errors = {who: (guess - truth).square().mean((1, 2, 3)).tolist() for who, guess in guesses.items()}

        kept = memory(label if told else None)  # which training images the memory holds: [N]
        heart, numbers, sentences = digits("train")[0][kept], [], []
        for k, t in enumerate(times):
            log_prob = q_marginal(heart, t, schedule).log_prob(x_t[k].expand_as(heart))
            probability = log_prob.softmax(0)  # of each training image, given x_t: [N]
            likeliest = int(kept[probability.argmax()])
            row = {"t": t, "SNR": schedule.snr[t].item()}
            row |= {f"mse {who}": round(errors[who][k], 5) for who in GUESSES}
            row |= {"likeliest training image": likeliest, "its probability": probability.max().item()}
            numbers.append(row)
            sentences.append(says(row, told, source == "training", likeliest == index))
        figure, frames = draw(times, x_t, guesses, truth, errors, told)
        return Scene(
            figure=figure,
            positions=times,
            frames=frames,
            numbers=numbers,
            sentences=sentences,
            code=[self.lines(SPLITS[source], index, told, seed, t) for t in times],
            alt="Five images: x_t, three guesses at x_0, and x_0. Below, the guesses' errors over t.",
            digits=3,
        )

    @staticmethod
    def lines(split, index, told, seed, t):
        return "\n".join(
            [
                "import torch",
                "from diffusion_lab import data, exact, forward, pretrained",
                "",
                'model = pretrained.load("digits")',
                "train, labels = data.digits()",
                f'images, classes = data.digits("{split}")',
                f"x0, label = images[[{index}]], int(classes[{index}])",
                f"noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed({seed}))",
                f"x_t = forward.q_sample(x0, {t}, model.schedule, noise)",
                f"network = model.given({'label' if told else None})",
                f"heart = exact.Empirical(train{'[labels == label]' if told else ''})",
                f"gaussian = exact.GaussianMixture.fit(train, labels){'.given(label)' if told else ''}",
                "denoisers = network, heart.denoiser(model.schedule), gaussian.denoiser(model.schedule)",
                f"errors = [(denoise(x_t, {t}).x0 - x0).square().mean().item() for denoise in denoisers]",
            ]
        )


digits = functools.cache(data.digits)


@functools.cache
def memory(label: int | None) -> torch.Tensor:
    """The places of the training images of a class, or of all: [N]."""
    labels = digits("train")[1]
    return torch.arange(len(labels)) if label is None else (labels == label).nonzero()[:, 0]


@functools.cache
def guessers(label: int | None) -> dict:
    """The three denoisers, told the class or (None) not."""
    (images, labels), model = digits("train"), trained("digits")
    gaussians = GaussianMixture.fit(images, labels)
    gaussians = gaussians if label is None else gaussians.given(label)
    by_heart = Empirical(images[memory(label)]).denoiser(model.schedule)
    return dict(zip(GUESSES, (model.given(label), by_heart, gaussians.denoiser(model.schedule)), strict=True))


@functools.cache
def positions() -> list[int]:
    """About 60 times from 1 to T, two thirds of them between an SNR of 100 and 0.1, evenly in its log."""
    schedule = guessers(None)["network"].schedule
    first, last = ((schedule.snr > snr).sum().item() for snr in (100, 0.1))
    middle = torch.linspace(*schedule.log_snr[[first, last]].tolist(), 42, dtype=torch.float64)
    middle = (schedule.log_snr[None] > middle[:, None]).sum(1)
    parts = (np.geomspace(1, first, 11), middle.numpy(), np.linspace(last, schedule.T, 9))
    return np.unique(np.concatenate(parts).round().astype(int)).tolist()


def says(row: dict, told: bool, training: bool, itself: bool) -> str:
    """What to see at this t."""
    if row["SNR"] < 0.03:
        average = "its class" if told else "all digits"
        return f"Hardly a trace of x_0 is left: all three give about the average of {average}."
    errors = {who: row[f"mse {who}"] for who in GUESSES}
    nearest = [who for who in GUESSES if errors[who] == min(errors.values())]
    best = f"Nearest to the truth: {' and '.join(nearest)}."
    if row["its probability"] < 0.9:
        return f"By heart still hesitates between several training images. {best}"
    which = f"training image {row['likeliest training image']}"
    if not training:
        return f"By heart has decided for {which}: no x_t, however clean, makes it say x_0. {best}"
    if itself:
        return "By heart has found x_0 itself, which it holds: a memory is perfect on what it has seen."
    return f"By heart has decided for {which}: x_t looks more like that one than like x_0. {best}"


def draw(times, x_t, guesses, truth, errors, told):
    """Five images over one plot: the errors over t, with a marker at the present one."""
    shown = [x_t, *guesses.values()]
    traces = [image(x[0, 0], i + 1) for i, x in enumerate([*shown, truth])]
    for who in GUESSES:
        line = dict(mode="lines", line=dict(color=COLORS[who], width=2), hoverinfo="skip")
        traces.append(dict(type="scatter", x=times, y=np.maximum(errors[who], FLOOR), **line, **on(6)))
    traces.append(
        dict(type="scatter", mode="lines", line=dict(color=GREY, width=1.5), hoverinfo="skip", **on(6))
    )
    dots = dict(size=9, color=list(COLORS.values()), line=dict(width=1.5, color="white"))
    traces.append(dict(type="scatter", mode="markers", marker=dots, hoverinfo="skip", **on(6)))
    frames = []
    for k, t in enumerate(times):
        frames.append({i: {"z": x[k, 0]} for i, x in enumerate(shown)})
        frames[-1][8] = {"x": [t, t], "y": [FLOOR, 1]}
        frames[-1][9] = {"x": [t] * 3, "y": [max(errors[who][k], FLOOR) for who in GUESSES]}
    heads = ["x_t", "network", "by heart", "Gaussian" if told else "10 Gaussians"]
    heads = [heads[0], *(colored(COLORS[who], head) for who, head in zip(GUESSES, heads[1:], strict=True))]
    places = [(0.205 * i, 0.205 * i + 0.18) for i in range(5)]
    panels = [
        panel(i + 1, places[i], (0.55, 1), head, **framed(i + 1, 8, 8))
        for i, head in enumerate([*heads, "x₀: the truth"])
    ]
    xaxis = dict(range=[-0.01 * times[-1], 1.01 * times[-1]], title=title("t"), zeroline=False)
    yaxis = LOG | dict(range=[np.log10(FLOOR), 0])
    panels.append(panel(6, (0, 1), (0, 0.42), "mean squared error against x₀", xaxis, yaxis))
    return {"data": traces, "layout": layout(*panels, height=400)}, frames
