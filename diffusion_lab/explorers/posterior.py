"""Where x_t came from, if from x_0: the posterior q(x_s|x_t, x_0) as a product of two factors, in 1-D."""

import numpy as np
import torch

from ..forward import q_marginal, q_posterior
from ..gaussian import Gaussian
from ..schedules import SCHEDULES, NoiseSchedule
from .core import GREY, PALETTE, Choice, Explorer, Scene, Slider, text
from .figures import colored, layout, panel, title

T = 100
OPTIONS = {"cosine": dict(T=T), "linear": dict(T=T, beta_T=0.2), "sigmoid": dict(T=T)}
CURVES = {  # name -> color and width, in the order of drawing
    "q(x_s|x_t, x_0), the posterior": (PALETTE["green"], 5),
    "q(x_s|x_0)": (PALETTE["blue"], 2),
    "q(x_t|x_s) as a function of x_s, scaled to area 1": (PALETTE["orange"], 2),
}
LIMIT = 3.5  # the axis of x_s is [−LIMIT, LIMIT]
SPREAD = np.linspace(-4, 4, 61)  # where a curve is drawn, in standard deviations from its mean
FAR = 4  # standard deviations of q(x_t|x_0) beyond which such an x_t practically never happens


class Posterior(Explorer):
    """The main slider is t; s = t − gap, and never below 0. x_0 and x_t stay where their sliders are.

    Numbers: the posterior's mean and standard deviation; what x_0 and x_t are multiplied by in the mean;
    1/variance (the precision) of both factors as functions of x_s, their sum, and that of the posterior.
    """

    title = "The posterior q(x_s|x_t, x_0)"
    portable = ("schedule",)
    schedule = Choice("cosine", list(OPTIONS))
    x0 = Slider(-0.6, -1.0, 1.0, step=0.1, label="x_0")
    x_t = Slider(0.9, -2.0, 2.0, step=0.1, label="x_t")
    gap = Slider(10, 1, 50, label="gap t − s")
    t = Slider(50, 1, T, main=True)

    def scene(self, *, schedule, x0, x_t, gap):
        table = SCHEDULES[schedule](**OPTIONS[schedule])
        frames, numbers, sentences, warning, code, alt = [], [], [], [], [], []
        for t in range(1, T + 1):
            s = max(t - gap, 0)
            from_x0, step = q_marginal(one(x0), s, table), step_over(t, s, table)
            posterior = q_posterior(one(x0), one(x_t), t, table, s)
            weights = [q_posterior(one(a), one(b), t, table, s).mean.item() for a, b in ((1, 0), (0, 1))]
            row = count(t, s, from_x0, step, posterior, weights)
            frames.append(curves(x0, x_t, from_x0, step, posterior))
            numbers.append(row)
            sentences.append(says(s, x_t, from_x0, step, posterior))
            warning.append(warns(x0, x_t, t, q_marginal(one(x0), t, table)))
            code.append(self.lines(schedule, x0, x_t, t, s))
            alt.append(describe(x0, x_t, t, s, row))
        return Scene(
            figure={"data": traces(x0, x_t), "layout": axes(x0, x_t)},
            positions=range(1, T + 1),
            frames=frames,
            numbers=numbers,
            sentences=sentences,
            warning=warning,
            code=code,
            alt=alt,
        )

    @staticmethod
    def lines(schedule, x0, x_t, t, s):
        options = ", ".join(f"{key}={value}" for key, value in OPTIONS[schedule].items())
        visited = [0, s, t] if s else [0, t]
        return "\n".join(
            [
                "import torch",
                "from diffusion_lab import forward, schedules",
                "",
                f"schedule = schedules.{schedule}({options})",
                f"x_0, x_t = torch.tensor([[{x0}], [{x_t}]], dtype=torch.float64).split(1)",
                f"from_x0 = forward.q_marginal(x_0, {s}, schedule)    # q(x_s|x_0)",
                f"short = schedules.NoiseSchedule(schedule.signal[{visited}], schedule.sigma[{visited}])",
                "keep, add = short.alpha[-1].sqrt(), short.beta[-1]    # q(x_t|x_s) = N(keep · x_s, add)",
                f"posterior = forward.q_posterior(x_0, x_t, {t}, schedule, s={s})",
                "posterior.mean, posterior.var",
            ]
        )


def one(x: float) -> torch.Tensor:
    """A batch of one number: [1, 1]."""
    return torch.full((1, 1), x, dtype=torch.float64)


def step_over(t: int, s: int, schedule) -> tuple[float, float]:
    """√α and β of q(x_t|x_s) = N(√α x_s, β): the last step of the chain that visits 0, s and t only."""
    visited = [0, s, t] if s else [0, t]
    short = NoiseSchedule(schedule.signal[visited], schedule.sigma[visited])
    return short.alpha[-1].sqrt().item(), short.beta[-1].item()


def count(t, s, from_x0, step, posterior, weights) -> dict:
    """The numbers at t. `weights` are the posterior's means for (x_0, x_t) = (1, 0) and (0, 1)."""
    row = {"t": t, "s": s, "posterior mean": posterior.mean.item()}
    row |= {"posterior std": posterior.var.sqrt().item(), "weight of x_0": weights[0]}
    row |= {"weight of x_t": weights[1]}
    first, second = 1 / from_x0.var.item() if s else np.inf, step[0] ** 2 / step[1]
    row |= {"1/var of q(x_s|x_0)": first, "1/var of q(x_t|x_s)": second, "sum of these two": first + second}
    row["1/var of the posterior"] = 1 / posterior.var.item() if s else np.inf
    return {name: "∞" if value == np.inf else value for name, value in row.items()}


def curves(x0, x_t, from_x0, step, posterior) -> dict:
    """A frame: the three densities over one grid, fine where one of them is narrow; y from 0 to their top."""
    keep, add = step
    known = [(q.mean.item(), q.var.sqrt().item()) for q in (from_x0, posterior)]
    near = [mean + std * SPREAD for mean, std in (*known, (x_t / keep, add**0.5 / keep))]
    x = np.unique(np.concatenate([np.linspace(-LIMIT, LIMIT, 71), *near]).clip(-LIMIT, LIMIT))
    grid = torch.from_numpy(x)[:, None]
    # As a function of x_s the area under N(x_t; keep · x_s, add) is 1/keep
    leads_here = keep * Gaussian(keep * grid, add).log_prob(one(x_t).expand_as(grid)).exp()
    if from_x0.var == 0:  # s = 0: two point masses, drawn as one vertical line over another
        top = 1.1 * leads_here.max().item()
        mass = {"x": [x0, x0], "y": [0, top]}
        drawn = [mass | {"line": {"width": 10}}, mass, {"x": x, "y": leads_here}]
    else:
        both, given = (
            Gaussian(q.mean.expand_as(grid), q.var).log_prob(grid).exp() for q in (posterior, from_x0)
        )
        top = 1.1 * max(y.max().item() for y in (both, given, leads_here))
        drawn = [{"x": x, "y": y} for y in (both, given, leads_here)]
    marks = [{"y": [0, top]}] * 2
    return {**dict(enumerate(marks + drawn)), "layout": {"yaxis": {"range": [0, top]}}}


def traces(x0, x_t) -> list[dict]:
    """The marks at x_0 and x_t; the posterior; then its factors, seen also where they lie on it."""
    drawn = []
    for x, dash in ((x0, "dot"), (x_t, "dash")):
        line = dict(color=GREY, width=1.5, dash=dash)
        drawn.append(dict(type="scatter", mode="lines", x=[x, x], line=line, hoverinfo="skip"))
    for name, (color, width) in CURVES.items():
        line = dict(color=color, width=width, simplify=False)
        drawn.append(dict(type="scatter", mode="lines", name=name, line=line))
    drawn[2] |= dict(fill="tozeroy", fillcolor="rgba(0, 158, 115, 0.18)")
    return drawn


def axes(x0, x_t) -> dict:
    """The panel, the key above it, and the names of the two marks, side by side even if the marks are one."""
    key = "     ".join(colored(color, name) for name, (color, _) in CURVES.items())
    below = dict(title=title("x_s"), range=[-LIMIT, LIMIT], zeroline=False, dtick=1)
    beside = dict(title=title("density (scaled anew at each t)"), zeroline=False, nticks=6)
    only = panel(1, (0, 1), (0, 1), key, below, beside)
    only["annotations"][0]["yshift"] = 24
    sides = ("right", "left") if x0 <= x_t else ("left", "right")
    for x, name, side in zip((x0, x_t), ("x_0 (dotted)", "x_t (dashed)"), sides, strict=True):
        place = dict(x=x, y=1, xref="x", yref="paper", xanchor=side, yanchor="bottom", showarrow=False)
        only["annotations"].append(dict(text=name, font=dict(size=13), **place))
    return layout(only, height=340, margin=dict(l=56, r=12, t=56, b=40))


def says(s: int, x_t, from_x0, step, posterior) -> str:
    """What to see: which factor has its way."""
    if s == 0:
        return (
            "s = 0: x_s is x_0, which is given. Blue and green are both a point mass there: a vertical line."
        )
    keep, add = step
    mean, var = posterior.mean.item(), posterior.var.item()
    share = var * keep**2 / add
    part = "less than 1%" if share < 0.01 else "more than 99%" if share > 0.99 else f"{share:.0%}"
    part = f"{part} of the posterior's 1/variance comes from q(x_t|x_s)".capitalize()
    if 0.1 <= share <= 0.9:
        return f"{part}: both have a say. Green is narrower than either, its mean between theirs."
    strong, weak = ("orange", "blue") if share > 0.9 else ("blue", "orange")
    pulled = abs(mean - (x_t / keep if share > 0.9 else from_x0.mean.item())) > 0.5 * var**0.5
    green = (
        f"about as wide as {strong}, but pulled towards {weak}" if pulled else f"nearly the same as {strong}"
    )
    return f"{part}: {strong} is the narrower factor, {weak} says little. Green is {green}."


def warns(x0, x_t, t, marginal) -> str:
    """A word where the sliders ask for an x_t that x_0 hardly ever leads to."""
    far = abs(x_t - marginal.mean.item()) / marginal.var.sqrt().item()
    if far <= FAR:
        return ""
    where = f"At t = {t} this x_t is {far:.0f} standard deviations from the mean of q(x_t|x_0)"
    return f"{where}: it hardly ever gets there. The equations hold all the same."


def describe(x0, x_t, t, s, row) -> str:
    """The figure in words."""
    where = f"at {text(row['posterior mean'], 2)} with standard deviation {text(row['posterior std'], 2)}"
    where = where if s else "like the first a vertical line at x_0"
    return (
        f"Densities over x_s for s = {s}, t = {t}: q(x_s|x_0), q(x_t|x_s), and the posterior, {where}. "
        f"Marks at x_0 = {text(x0)} and x_t = {text(x_t)}."
    )
