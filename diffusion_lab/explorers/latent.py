"""Latent: a digit in d numbers, what that loses, and what diffusion can do with the work it saves."""

import numpy as np
import torch

from .. import drawing as draw
from ..drawing import GREY, PALETTE, curve, panel
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing
from ..experiments import latent as found
from ..experiments.latent import DIMS, PIXELS, WORKS, drawn

FLOOR, GENERATION = PALETTE["vermillion"], PALETTE["blue"]
SHOWN = 6
PAGE = dict(height=330, margin=dict(l=8, r=12, t=28, b=48))


class Latent(Explorer):
    """The main slider is d, how many numbers stand for the 64 pixels of a digit; at 64 there is no encoder.

    The class is a Gaussian, and all distances are exact: squared, and summed over the 64 pixels (W₂²). The
    floor is what the autoencoder loses. The generation is how far DDIM's latents are from the right ones.
    The two add up to the distance between decoded draws and the truth. Work is the same for every d: a
    small latent gets more steps for it, at most 50.
    """

    title = "Latent: fewer numbers, more steps"
    portable = ("label", "work")
    label = Choice(3, list(range(10)), label="class")
    work = Choice(5, list(WORKS), label="work: as much as … steps on pixels")
    seed = Slider(0, 0, 20)
    dim = Slider(32, DIMS[0], DIMS[-1], step=4, label="d: numbers in a latent", main=True)

    def scene(self, *, label: int, work: int, seed: int) -> Scene:
        pairs = [found.distances(label, d, work) for d in DIMS]
        floor, generation = torch.tensor(pairs, dtype=torch.float64).T
        best = DIMS[int((floor + generation).argmin())]
        truth, told, frames = found.held_out(label, SHOWN), dict(label=label, work=work, seed=seed), []
        for k, d in enumerate(DIMS):
            steps, again = found.steps_for(d, work), found.given_back(label, d, SHOWN)
            numbers = {
                "floor": pairs[k][0],
                "generation": pairs[k][1],
                "distance to the truth": sum(pairs[k]),
                "steps": steps,
                "multiply-adds a step": 2 * d**2,
                "multiply-adds in all": found.multiply_adds(d, steps),
                "best d": best,
            }
            here = [max(value, LEAST) for value in (*pairs[k], sum(pairs[k]))]
            frames.append(
                Frame(
                    d,
                    changes={
                        "truth and given back": {"z": pairs_of(truth, again)},
                        "drawn": {"z": draw.tiles(drawn(dim=d, **told).float().clamp(-1, 1), 3)},
                        "here": {"x": [d] * 3, "y": here},
                    },
                    numbers=numbers,
                    sentence=says(d, best, steps, *pairs[k]),
                    code=listing(drawn, dim=d, **told),
                    alt=describe(label, d, numbers),
                )
            )
        x, y = list(DIMS), draw.axis("squared distance (W₂²)", [LEAST, 20], log=True)
        over_d = draw.axis("d", range=[0, 67], dtick=16)
        key = draw.key({"floor": FLOOR, "generation": GENERATION, "sum": GREY})
        sheet = frames[0].changes["drawn"]["z"]
        panels = (
            panel(1, (0, 0.17), (0, 1), "truth, given back", **draw.framed(1, 9 * SHOWN - 1, 17)),
            panel(2, (0.2, 0.52), (0, 1), "drawn and decoded", **draw.framed(2, *sheet.shape)),
            panel(3, (0.62, 1), (0, 1), key, over_d, y),
        )
        traces = {
            "truth and given back": draw.image(pairs_of(truth, truth), 1),
            "drawn": draw.image(sheet, 2),
            "floor": curve(FLOOR, 2, 3, x=x, y=floor.clamp(min=LEAST)),
            "generation": curve(GENERATION, 2, 3, x=x, y=generation.clamp(min=LEAST)),
            "sum": curve(GREY, 3, 3, "dot", x=x, y=floor + generation),
            "here": draw.dots([FLOOR, GENERATION, GREY], 3, 11),
        }
        shapes = [draw.behind(n) for n in (1, 2)]
        return Scene(traces, draw.layout(*panels, shapes=shapes, **PAGE), frames)


LEAST = 1e-3  # the end of the logarithmic axis: at d = 64 the floor is 0


def pairs_of(truth: torch.Tensor, again: torch.Tensor) -> np.ndarray:
    """Digits one below the other, and to the right of each what it is given back as."""
    return draw.tiles(torch.stack([truth, again], 1).flatten(0, 1).float().clamp(-1, 1), 2)


def says(d: int, best: int, steps: int, floor: float, generation: float) -> str:
    """What to see at d."""
    if d == PIXELS:
        return (
            f"No autoencoder: nothing is lost, but the work is enough for {steps} steps only, and these "
            f"leave an error of {generation:.2g}. With d = {best} the same work gets closest to the truth."
        )
    part = floor / (floor + generation)
    if d == best:
        return f"The best d for this work: {steps} steps, and neither part of the distance is wasted."
    if part > 0.5:
        return (
            f"{part:.0%} of the distance is the floor, which the autoencoder has set. The diffusion makes "
            f"{steps} steps, and a better sampler would hardly come closer."
        )
    return f"The autoencoder loses little here. {steps} steps are too few for a latent of {d} numbers."


def describe(label: int, d: int, numbers: dict) -> str:
    """The figure in words."""
    said = ", ".join(f"{name} {value:.3g}" for name, value in numbers.items())
    return (
        f"Left, held-out digits of class {label}, and beside each what {d} numbers give back of it. Middle, "
        f"drawn digits. Right, floor, generation and their sum over d. Here: {said}."
    )
