"""The posterior q(x_s|x_t, x_0) as a product of two factors, in 1-D."""

import numpy as np
import torch

from ..drawing import GREY, PALETTE, axis, curve, key, layout, note, panel
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing, text
from ..experiments.stored import HUNDRED, hundred_steps
from ..forward import q_marginal, q_posterior
from ..gaussian import Gaussian
from ..schedules import NoiseSchedule

CURVES = {  # trace -> its name and color
    "posterior": ("q(x_s|x_t, x_0), the posterior", PALETTE["green"]),
    "from x_0": ("q(x_s|x_0)", PALETTE["blue"]),
    "to x_t": ("q(x_t|x_s) as a function of x_s, scaled to area 1", PALETTE["orange"]),
}
Parts = tuple[Gaussian, float, float, Gaussian]  # q(x_s|x_0), √α and β of q(x_t|x_s), the posterior
LIMIT = 3.5  # the axis of x_s is [−LIMIT, LIMIT]
SPREAD = np.linspace(-4, 4, 61)  # where a curve is drawn, in standard deviations from its mean
FAR = 4  # standard deviations from the mean of q(x_t|x_0): an x_t beyond practically never happens


class Posterior(Explorer):
    """The main slider is t. s is t − gap, but never below 0. x_0 and x_t stay where their sliders are.

    Numbers: the posterior's mean and standard deviation; the weights of x_0 and x_t in the mean; 1/variance
    (the precision) of both factors as functions of x_s, and of the posterior, which is the sum of the two.
    """

    title = "The posterior q(x_s|x_t, x_0)"
    portable = ("schedule",)
    schedule = Choice("cosine", list(HUNDRED))
    x0 = Slider(-0.6, -1.0, 1.0, step=0.1, label="x_0")
    x_t = Slider(0.9, -2.0, 2.0, step=0.1, label="x_t")
    gap = Slider(10, 1, 50, label="gap t − s")
    t = Slider(50, 1, 100, main=True)

    def scene(self, *, schedule: str, x0: float, x_t: float, gap: int) -> Scene:
        frames = []
        for t in range(1, 101):
            s = max(t - gap, 0)
            told: dict = dict(schedule=schedule, x0=x0, x_t=x_t, t=t, s=s)
            parts = factors(**told)
            row = count(s, parts, weights(schedule, t, s))
            frames.append(
                Frame(
                    t,
                    changes=curves(x0, x_t, parts),
                    numbers=row,
                    sentence=says(s, x_t, parts),
                    warning=warns(x_t, t, q_marginal(one(x0), t, hundred_steps(schedule))),
                    code=listing(factors, "posterior.mean, posterior.var", **told),
                    alt=describe(x0, x_t, t, s, row),
                )
            )
        return Scene(traces(x0, x_t), axes(x0, x_t), frames)


def factors(schedule: str, x0: float, x_t: float, t: int, s: int) -> Parts:
    """q(x_s|x_0); √α and β of q(x_t|x_s) = N(√α x_s, β); and the posterior q(x_s|x_t, x_0)."""
    table = hundred_steps(schedule)
    clean, noisy = torch.tensor([[x0], [x_t]], dtype=torch.float64).split(1)  # [1, 1] each
    from_x0 = q_marginal(clean, s, table)
    # The last step of the chain that visits 0, s and t only
    visited = [0, s, t] if s else [0, t]
    short = NoiseSchedule(table.signal[visited], table.sigma[visited])
    keep, add = short.alpha[-1].sqrt().item(), short.beta[-1].item()
    posterior = q_posterior(clean, noisy, t, table, s)
    return from_x0, keep, add, posterior


def weights(schedule: str, t: int, s: int) -> list[float]:
    """The weights of x_0 and x_t in the posterior's mean."""
    return [factors(schedule, a, b, t, s)[-1].mean.item() for a, b in ((1.0, 0.0), (0.0, 1.0))]


def one(x: float) -> torch.Tensor:
    """A batch of one number: [1, 1]."""
    return torch.full((1, 1), x, dtype=torch.float64)


def count(s: int, parts: Parts, weights: list[float]) -> dict:
    """The numbers; the infinite precision of a point mass is written as ∞."""
    from_x0, keep, add, posterior = parts
    variances = {"q(x_s|x_0)": from_x0.var.item(), "q(x_t|x_s)": add / keep**2}
    variances["posterior"] = posterior.var.item()
    row = {"s": s, "posterior mean": posterior.mean.item(), "posterior std": posterior.var.sqrt().item()}
    row |= {"weight of x_0": weights[0], "weight of x_t": weights[1]}
    return row | {f"1/var of {name}": 1 / var if var else "∞" for name, var in variances.items()}


def curves(x0: float, x_t: float, parts: Parts) -> dict:
    """What changes: three densities over one grid, which is fine where a density is narrow; the y range."""
    from_x0, keep, add, posterior = parts
    known = [(q.mean.item(), q.var.sqrt().item()) for q in (from_x0, posterior)]
    near = [mean + std * SPREAD for mean, std in (*known, (x_t / keep, add**0.5 / keep))]
    x = np.unique(np.concatenate([np.linspace(-LIMIT, LIMIT, 71), *near]).clip(-LIMIT, LIMIT))
    grid = torch.from_numpy(x)[:, None]
    # As a function of x_s the area under N(x_t; keep · x_s, add) is 1/keep
    to_x_t = keep * Gaussian(keep * grid, add).log_prob(one(x_t).expand_as(grid)).exp()
    if from_x0.var == 0:  # s = 0: two point masses, drawn as one vertical line over another
        top = 1.1 * to_x_t.max().item()
        mass = {"x": [x0, x0], "y": [0, top]}
        drawn = {"posterior": mass | {"line": {"width": 10}}, "from x_0": mass}
    else:
        wide = (Gaussian(q.mean.expand_as(grid), q.var) for q in (posterior, from_x0))
        both, given = (q.log_prob(grid).exp() for q in wide)
        top = 1.1 * max(y.max().item() for y in (both, given, to_x_t))
        drawn = {"posterior": {"x": x, "y": both}, "from x_0": {"x": x, "y": given}}
    marks = {name: {"y": [0, top]} for name in ("mark x_0", "mark x_t")}
    return marks | drawn | {"to x_t": {"x": x, "y": to_x_t}, "layout": {"yaxis": {"range": [0, top]}}}


def traces(x0: float, x_t: float) -> dict:
    """The marks at x_0 and x_t; the posterior; its factors, drawn so that all three stay visible."""
    marks = {
        "mark x_0": curve(GREY, 1.5, dash="dot", x=[x0, x0]),
        "mark x_t": curve(GREY, 1.5, dash="dash", x=[x_t, x_t]),
    }
    lines = {name: curve(color) for name, (_, color) in CURVES.items()}
    green = curve(PALETTE["green"], 5, fill="tozeroy", fillcolor="rgba(0, 158, 115, 0.18)")
    return marks | lines | {"posterior": green}


def axes(x0: float, x_t: float) -> dict:
    """The panel, the key above it, and the names of the two marks, side by side even at the same place."""
    below = axis("x_s", range=[-LIMIT, LIMIT], dtick=1)
    up = axis("density (rescaled at each t)", nticks=6)
    only = panel(1, (0, 1), (0, 1), key(dict(CURVES.values())), below, up)
    only["annotations"][0]["yshift"] = 24
    sides = ("right", "left") if x0 <= x_t else ("left", "right")
    for x, name, side in zip((x0, x_t), ("x_0 (dotted)", "x_t (dashed)"), sides, strict=True):
        only["annotations"].append(note(name, x, 1, xref="x", xanchor=side, yanchor="bottom"))
    return layout(only, height=340, margin=dict(l=56, r=12, t=56, b=40))


def says(s: int, x_t: float, parts: Parts) -> str:
    """What to see: which factor decides."""
    if s == 0:
        return "s = 0: blue and green are vertical lines at x_0. x_s is x_0 itself, so both are point masses."
    from_x0, keep, add, posterior = parts
    mean, var = posterior.mean.item(), posterior.var.item()
    share = var * keep**2 / add
    part = "less than 1%" if share < 0.01 else "more than 99%" if share > 0.99 else f"{share:.0%}"
    part = f"{part} of the posterior's 1/variance comes from q(x_t|x_s)".capitalize()
    if 0.1 <= share <= 0.9:
        return f"{part}: both factors matter. Green is narrower than either, and its mean is between theirs."
    strong, weak = ("orange", "blue") if share > 0.9 else ("blue", "orange")
    pulled = abs(mean - (x_t / keep if share > 0.9 else from_x0.mean.item())) > 0.5 * var**0.5
    apart = f"about as wide as {strong}, but pulled towards {weak}"
    green = apart if pulled else f"nearly the same as {strong}"
    return f"{part}: {strong} is the narrower factor, so {weak} matters little. Green is {green}."


def warns(x_t: float, t: int, marginal: Gaussian) -> str:
    """A warning where x_0 hardly ever leads to the chosen x_t."""
    far = abs(x_t - marginal.mean.item()) / marginal.var.sqrt().item()
    if far <= FAR:
        return ""
    where = f"At t = {t} this x_t is {far:.0f} standard deviations from the mean of q(x_t|x_0)"
    return f"{where}: x_0 hardly ever leads there. The equations still hold."


def describe(x0: float, x_t: float, t: int, s: int, row: dict) -> str:
    """The figure in words."""
    where = f"at {text(row['posterior mean'], 2)} with standard deviation {text(row['posterior std'], 2)}"
    where = where if s else "like the first one a vertical line at x_0"
    return (
        f"Densities over x_s for s = {s}, t = {t}: q(x_s|x_0), q(x_t|x_s), and the posterior, {where}. "
        f"Marks at x_0 = {text(x0)} and x_t = {text(x_t)}."
    )
