"""Rivals: a GAN, a VAE and a diffusion learn 25 Gaussians side by side, in the same time."""

from .. import drawing as draw
from ..drawing import GREY, PALETTE, cloud, panel, plane
from ..engine import Explorer, Frame, Scene, Slider, Toggle, listing
from ..experiments import rivals as found
from ..experiments.grid import SIDE, TRUE_QUALITY, grid
from ..experiments.rivals import LOOKS, SEEDS, shown

MODES = SIDE**2
PENALISED = "GAN, R1 + R2"
NAMES = {"GAN": "GAN", PENALISED: "GAN with R1 + R2", "VAE": "VAE", "diffusion": "diffusion"}
COLORS = {"GAN": PALETTE["vermillion"], "VAE": PALETTE["green"], "diffusion": PALETTE["blue"]}
LIMIT = 1.15
PAGE = dict(height=330, margin=dict(l=24, r=8, t=28, b=28))


class Rivals(Explorer):
    """The main slider is the share of the training time, some 15 seconds of one core for each model.

    Three panels: 200 draws of a GAN, a VAE and a diffusion, over the 25 modes of the data. The noise behind a
    draw is the same all along the slider. With R1 + R2, the GAN's discriminator is penalised for its slope;
    then it makes fewer steps in the same time. Every model has its own best recipe of a small search. Numbers
    for each: the share of 2000 draws within three standard deviations of a mode, which is 98.9 % for the
    truth; how many of the 25 modes have at least a tenth of their fair share; and the KL of the 26 bins to
    the truth, in nats.
    """

    title = "Rivals: 25 modes, three ways to learn them"
    portable = ("penalties",)
    penalties = Toggle(False, label="R1 + R2")
    seed = Slider(0, SEEDS[0], SEEDS[-1])
    done = Slider(100, 2, 100, step=2, label="training done, %", main=True)

    def scene(self, *, penalties: bool, seed: int) -> Scene:
        models = {"GAN": PENALISED if penalties else "GAN", "VAE": "VAE", "diffusion": "diffusion"}
        frames = []
        for look, share in enumerate(LOOKS):
            each = {name: found.measured(model, seed, look) for name, model in models.items()}
            numbers = {f"{name}: near a mode": row["quality"] for name, row in each.items()}
            numbers |= {
                f"{name}: modes, KL": f"{row['modes']:.0f}, {row['kl']:.2f}" for name, row in each.items()
            }
            frames.append(
                Frame(
                    round(100 * share),
                    changes={
                        name: draw.xy(shown(model, seed, look).clamp(-LIMIT, LIMIT))
                        for name, model in models.items()
                    },
                    numbers=numbers | {"truth: near a mode": TRUE_QUALITY},
                    sentence=" ".join(f"The {NAMES[models[name]]} {says(row)}." for name, row in each.items())
                    + (in_nats(models, seed) if share == 1 else ""),
                    code=listing(shown, model=models["GAN"], seed=seed, look=look),
                    alt=describe(models, each),
                )
            )
        means, traces, panels = grid().means, {}, []
        for n, (name, x) in enumerate(zip(models, draw.columns(1, 1, 1), strict=True), 1):
            rings = cloud(means, n, GREY, 9)
            rings["marker"] |= dict(symbol="circle-open", opacity=1)
            traces[f"modes {n}"] = rings
            traces[name] = cloud(shown(models[name], seed, 0), n, COLORS[name], 3.5)
            traces[name]["marker"] |= dict(opacity=1)
            panels.append(panel(n, x, (0, 1), NAMES[models[name]], **plane(LIMIT, n)))
        return Scene(traces, draw.layout(*panels, **PAGE), frames, digits=3)


def says(row: dict[str, float]) -> str:
    """What a model lacks, in a few words after its name."""
    missed, between = MODES - round(row["modes"]), 1 - row["quality"]
    if row["quality"] < 0.1:
        return f"leaves {between:.0%} of its draws between the modes"
    if missed and between > 0.1:
        return f"misses {missed} of {MODES} modes, and {between:.0%} of its draws lie between modes"
    if missed:
        return f"misses {missed} of {MODES} modes"
    if between > 0.02:
        return f"covers all {MODES} modes, but {between:.0%} of its draws lie between them"
    if row["width"] < 0.9:
        return f"covers all {MODES} modes, but each is only {row['width']:.2f} times as wide as it should be"
    return f"covers all {MODES} modes"


def in_nats(models: dict[str, str], seed: int) -> str:
    """The negative log-likelihoods at the end, which only the whole run has."""
    nll = {(r["model"], r["seed"]): r["nll"] for r in found.table() if r["part"] == "compare"}
    vae, diffusion, truth, gan = (
        f"{nll[model, seed]:.2f}".replace("-", "−") for model in ("VAE", "diffusion", "data", models["GAN"])
    )
    return (
        f" Held-out points cost {vae} nats with the VAE, {diffusion} with the diffusion, {truth} with the "
        f"truth; {gan} with the GAN, if it is granted noise."
    )


def describe(models: dict[str, str], each: dict[str, dict[str, float]]) -> str:
    """The figure in words."""
    said = "; ".join(
        f"{NAMES[models[name]]}: {row['quality']:.0%} near a mode and {row['modes']:.0f} modes covered"
        for name, row in each.items()
    )
    return f"Three planes with a grid of 25 rings, where the modes are, and 200 draws in each: {said}."
