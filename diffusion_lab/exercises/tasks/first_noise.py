"""The exercise `first_noise` of appendix A2."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..exercise import Case, Exercise, Mistake

NOTEBOOK = "A2_dequantisation"


def first_noise(bins: float, bin_width: float) -> float:
    """The time u at which the noise of the straight process is so many bins wide.

    On the straight process x_u = (1 − u) · x_0 + u · ε. Seen from the data, that is noise of the standard
    deviation sigma/signal on x_0. bins and bin_width are numbers above 0: the noise shall be bins · bin_width
    wide. Return u, between 0 and 1.
    """
    width = bins * bin_width
    return width / (1 + width)


def widths(generator: torch.Generator) -> Iterator[Case]:
    """From a tenth of a bin to three; bins of 2 levels, of 5, and of 256."""
    for bin_width in (2.0, 0.5, 0.125, 2 / 255):
        yield from ((bins, bin_width) for bins in (0.1, 0.7, 3.0))


EXERCISE = Exercise(
    solution=first_noise,
    cases=widths,
    notebook=NOTEBOOK,
    mistakes=(
        Mistake(
            "bin width left out",
            lambda bins, bin_width: bins / (1 + bins),
            "Your u is the same for wide bins and for narrow ones.",
            "The width is asked for in bins: ask how wide that is on the scale of the data.",
        ),
        Mistake(
            "data not shrunk",
            lambda bins, bin_width: bins * bin_width,
            "Your u is right for little noise, and can be above 1 for much.",
            "At time u the data is smaller than it was, and the noise is compared with it.",
        ),
        Mistake(
            "signal and sigma swapped",
            lambda bins, bin_width: 1 / (1 + bins * bin_width),
            "Your u is near 1 where little noise is wanted.",
            "Ask which end of the process is clean data.",
        ),
        Mistake(
            "divided by the bin width",
            lambda bins, bin_width: bins / bin_width / (1 + bins / bin_width),
            "Narrow bins get more noise from you than wide ones.",
            "Turn a width in bins into one on the scale of the data.",
        ),
        Mistake(
            "variance for standard deviation",
            lambda bins, bin_width: (bins * bin_width) ** 2 / (1 + (bins * bin_width) ** 2),
            "You squared the width.",
            "Both sigma and the width of a bin are distances, and neither is a variance.",
        ),
        Mistake(
            "the other process",
            lambda bins, bin_width: bins * bin_width / (1 + (bins * bin_width) ** 2) ** 0.5,
            "Your u is the sigma of a process that preserves the variance.",
            "Here signal and sigma sum to 1, and their squares do not.",
        ),
    ),
)
