"""Spoil a set of real digits, more and more, and see which metric notices."""

import functools

import numpy as np
import torch
import torch.nn.functional as F

from .. import data, features, metrics
from ..exact import GaussianMixture
from .core import GREY, PALETTE, Choice, Explorer, Scene, Slider, shipped, text
from .figures import colored, framed, image, layout, on, panel, span, tiles, title

WAYS = {  # name -> what happens to the samples
    "blur": "Every digit is mixed with its own average over 3×3 pixels.",
    "noise": "Every pixel gets noise, of standard deviation s/2.",
    "drop classes": "Classes go, 9 first, and the others are repeated instead; in the end only 0 is left.",
    "one per class": "A share s of the digits is replaced by one and the same digit of their class.",
    "class Gaussians": "A share s of the digits is replaced by draws from a Gaussian fitted to their class.",
    "copies": "A share s of the digits is replaced by digits of the reference, as a memory would do.",
}
METRICS = {  # name -> whether more is worse (1) or less is (−1)
    "Fréchet distance": 1,
    "inception score": -1,
    "precision": -1,
    "recall": -1,
    "MMD²": 1,
    "P(nearer)": 1,
}
STRENGTHS = [k / 10 for k in range(11)]
START, OTHERS = 21, range(1, 21)  # seeds: of the division that is spoilt, and of those that say what is usual
WIDE = 3  # so many standard deviations from the mean are still usual
VERDICTS = {  # -> color, words
    "worse": (PALETTE["vermillion"], "worse than for real digits"),
    "usual": (GREY, "as for real digits"),
    "better": (PALETTE["blue"], "better than for real digits"),
    "farther": (PALETTE["purple"], "farther than real digits"),  # P(nearer) far below ½ praises nobody
}


class SampleMetrics(Explorer):
    """The main slider is s, how much is spoilt. At s = 0 the samples are real digits, N/10 of each class; so
    are the reference they are compared with and the held-out ones, and no digit is in two of the three sets.

    Numbers: the metrics of samples and reference, in the features of a small classifier; and P(nearer), the
    probability that a sample is nearer to the reference than a held-out digit is, in pixels. In brackets what
    is usual for real digits: mean and standard deviation over 20 other divisions into three such sets. The
    grey bands are three of these wide to each side. All classes are equally frequent in every set, so two
    sets are more alike than independent draws, and the unbiased MMD² is usually below 0.
    """

    title = "Which metric notices?"
    portable = ("how", "N")
    how = Choice("blur", list(WAYS), label="spoilt by")
    N = Choice("200", ["50", "100", "200"], label="N samples")
    s = Slider(0.2, 0.0, 1.0, step=0.1, label="how much, s", main=True)

    def scene(self, *, how, N):
        n = int(N) // 10
        reference, real, held_out = division(n, START)
        spoilt = [spoil(real, reference, how, s) for s in STRENGTHS]
        rows = np.array(measure_each(spoilt, reference, held_out))  # [11, 6]
        mean, std = usual(n)
        verdicts = [judge(row, mean, std) for row in rows]
        figure, frames = draw(n, spoilt, rows, mean, std, verdicts)
        return Scene(
            figure=figure,
            positions=STRENGTHS,
            frames=frames,
            numbers=[count(row, mean, std) for row in rows],
            sentences=[f"{WAYS[how]} {says(s, v)}" for s, v in zip(STRENGTHS, verdicts, strict=True)],
            code=[self.lines(n, how, s) for s in STRENGTHS],
            alt=[
                f"Twenty of the samples at s = {text(s)}. Below, six metrics over s, each with a band of "
                "what is usual for real digits."
                for s in STRENGTHS
            ],
        )

    @staticmethod
    def lines(n, how, s):
        return "\n".join(
            [
                "from diffusion_lab import features, metrics",
                "from diffusion_lab.explorers.sample_metrics import division, spoil",
                "",
                f"reference, real, held_out = division({n}, seed={START})    # {n} of each class",
                f'samples = spoil(real, reference, "{how}", {s})',
                "classifier = features.load()",
                "a, b = classifier.features(reference), classifier.features(samples)",
                "distance, mmd2 = metrics.frechet_distance(a, b), metrics.mmd2(a, b)",
                "score = metrics.inception_score(classifier.probabilities(samples))",
                "precision, recall = metrics.precision_recall(a, b)",
                "nearer = metrics.memorisation(samples, reference, held_out).nearer",
            ]
        )


classifier = functools.cache(features.load)


@functools.cache
def digits():
    """All 1797 digits [1797, 1, 8, 8] and their labels."""
    (a, labels_a), (b, labels_b) = data.digits("train"), data.digits("test")
    return torch.cat([a, b]), torch.cat([labels_a, labels_b])


def division(n: int, seed: int):
    """Three sets of real digits, n ≤ 57 of each class, in the order of the classes: [10 n, 1, 8, 8] each."""
    images, labels = digits()
    generator = torch.Generator().manual_seed(seed)
    places = [(labels == k).nonzero()[:, 0] for k in range(10)]
    places = [place[torch.randperm(len(place), generator=generator)] for place in places]
    return [images[torch.cat([place[part::3][:n] for place in places])] for part in range(3)]


def spoil(real, reference, how: str, s: float):
    """The samples at strength s in 0…1, from real digits in the order of their classes; see WAYS."""
    N, generator = len(real), torch.Generator().manual_seed(0)
    if how == "blur":
        around = F.avg_pool2d(F.pad(real, (1, 1, 1, 1), value=-1), 3, stride=1)
        return (1 - s) * real + s * around
    if how == "noise":
        return real + 0.5 * s * torch.randn(real.shape, generator=generator)
    if how == "drop classes":
        kept = N - round(0.9 * s * N)
        return real[torch.arange(N) * kept // N]  # each of those kept about as often
    n = N // 10
    if how == "one per class":
        others = real[torch.arange(N) // n * n]
    elif how == "copies":
        others = reference
    else:
        others = gaussian_digits(*digits(), n, generator)
    replaced = torch.randperm(N, generator=generator) < s * N
    return torch.where(replaced[:, None, None, None], others, real)


def gaussian_digits(images, labels, n: int, generator):
    """n draws from a Gaussian fitted to each class, in the order of the classes: [10 n, 1, 8, 8]."""
    means, root = class_gaussians(images, labels)
    noise = torch.randn(10, n, 64, generator=generator) @ root
    return (means[:, None] + noise.reshape(10, n, 1, 8, 8)).flatten(0, 1)


@functools.lru_cache(2)
def class_gaussians(images, labels):
    """Mean of each class [10, 1, 8, 8] and the root of its covariance [10, 64, 64]."""
    fitted = GaussianMixture.fit(images, labels)
    # the symmetric root: it is unique, where eigenvectors' signs differ between machines
    return fitted.means, (fitted.axes * fitted.var.sqrt()[:, None]) @ fitted.axes.mT


def measure(samples, reference, held_out) -> list[float]:
    """The six metrics of the samples, in the order of METRICS."""
    return measure_each([samples], reference, held_out)[0]


def measure_each(sets, reference, held_out) -> list[list[float]]:
    """The same for each of several sets of samples, whose features the network computes in one call."""
    network = classifier()
    parts = [len(reference), *map(len, sets)]
    a, *features = network.features(torch.cat([reference, *sets])).split(parts)  # all in one call
    return [
        [
            metrics.frechet_distance(a, b),
            metrics.inception_score(network.last(b * network.scale).softmax(1)),
            *metrics.precision_recall(a, b),
            metrics.mmd2(a, b),
            metrics.memorisation(samples, reference, held_out).nearer,
        ]
        for samples, b in zip(sets, features, strict=True)
    ]


@functools.cache
def usual(n: int):
    """Mean and standard deviation of the metrics of unspoilt digits, over 20 divisions: [6] each.

    They are those of `of_divisions`, which takes a second and is always the same: it ships computed.
    """
    rows = shipped("usual")[str(n)].numpy()
    return np.mean(rows, 0), np.std(rows, 0, ddof=1)


def of_divisions(n: int) -> torch.Tensor:
    """The metrics of unspoilt digits in each of OTHERS divisions: [20, 6]."""
    rows = []
    for seed in OTHERS:
        reference, real, held_out = division(n, seed)
        rows.append(measure(real, reference, held_out))
    return torch.tensor(rows, dtype=torch.float64)


def judge(row, mean, std) -> list[str]:
    """For each metric, one of VERDICTS."""
    worse = (row - mean) * list(METRICS.values())  # by how much
    beyond = np.abs(worse) > WIDE * std
    verdicts = np.where(beyond, np.where(worse > 0, "worse", "better"), "usual").tolist()
    if verdicts[-1] == "better":  # far from the reference, as from all other data
        verdicts[-1] = "farther"
    return verdicts


def count(row, mean, std) -> dict:
    """The values, and in brackets what is usual."""
    every = zip(METRICS, *(column.tolist() for column in (row, mean, std)), strict=True)
    return {name: f"{text(v, 3)} ({text(m, 2)} ± {text(d, 1)})" for name, v, m, d in every}


def says(s: float, verdicts: list[str]) -> str:
    """Which metrics notice."""
    if set(verdicts) == {"usual"}:
        return "None of the metrics notices." if s else "Nothing is spoilt yet."
    parts = []
    for verdict, (_, words) in VERDICTS.items():
        names = [name for name, said in zip(METRICS, verdicts, strict=True) if said == verdict]
        parts += [f"{words.capitalize()}: {', '.join(names)}."] if names else []
    return " ".join(parts)


def draw(n, spoilt, rows, mean, std, verdicts):
    """Twenty samples, at s = 0 two of each class; below, the six metrics over s."""
    shown = torch.tensor([k * n + i for i in range(2) for k in range(10)])
    sheets = [tiles(x[shown], 10) for x in spoilt]
    traces, frames = [image(sheets[0], 1)], [{0: {"z": sheet}} for sheet in sheets]
    panels = [panel(1, (0.1, 0.9), (0.78, 1), "some of the samples", **framed(1, *sheets[0].shape))]
    key = dict(text="     ".join(colored(*v) for v in VERDICTS.values()), font=dict(size=13), showarrow=False)
    key |= dict(xref="paper", yref="paper", x=0.5, y=0.725, xanchor="center", yanchor="middle")
    panels[0]["annotations"].append(key)

    band = dict(
        type="scatter", x=[-1, 2, 2, -1], mode="none", fill="toself", fillcolor="rgba(128,128,128,0.3)"
    )
    line = dict(type="scatter", x=STRENGTHS, mode="lines+markers", line=dict(color=GREY, width=1))
    ring = dict(type="scatter", mode="markers", cliponaxis=False)
    ring["marker"] = dict(symbol="circle-open", size=15, color=GREY, line=dict(width=2.5))
    for k, name in enumerate(METRICS):
        low, high = mean[k] - WIDE * std[k], mean[k] + WIDE * std[k]
        dots = dict(size=7, color=[VERDICTS[verdict[k]][0] for verdict in verdicts])
        three = (band | dict(y=[low, low, high, high]), line | dict(y=rows[:, k], marker=dots), ring)
        traces += [trace | dict(hoverinfo="skip") | on(k + 2) for trace in three]
        for frame, s, value in zip(frames, STRENGTHS, rows[:, k], strict=True):
            frame[3 * k + 3] = {"x": [s], "y": [value]}
        row, column = divmod(k, 3)
        left, bottom = 0.35 * column, 0.39 * (1 - row)
        xaxis = dict(range=[-0.06, 1.06], dtick=0.5, zeroline=False) | (dict(title=title("s")) if row else {})
        yaxis = dict(range=span(rows[:, k], low, high), nticks=5, zeroline=False)
        head = "P(nearer than new data)" if name == "P(nearer)" else name
        panels.append(panel(k + 2, (left, left + 0.3), (bottom, bottom + 0.24), head, xaxis, yaxis))
    return {"data": traces, "layout": layout(*panels, height=520)}, frames
