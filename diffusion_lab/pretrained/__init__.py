"""Trained weights that come with the package, each beside its recipe and its measured quality.

NAME.safetensors holds the weights in float16. NAME.json holds the recipe of their training, and their quality
*after* that rounding. ``python -m diffusion_lab train NAME`` follows the recipe again. digits.samplers.csv
says how good each sampler's digits are; benchmarks/digits_samplers.py measures them.
"""

import json
import math
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from .. import data, pictures
from ..checkpoints import FilePath, read_safetensors, write_atomically
from ..forward import q_sample
from ..model import ModelDenoiser
from ..recipe import Recipe
from ..tables import read_table
from ..training import Result

FOLDER = Path(__file__).parent
FORMAT = "diffusion_lab weights 1"


def names(folder: FilePath = FOLDER) -> list[str]:
    """The names that `load` knows, in alphabetical order."""
    return [name for name in recipes(folder) if (Path(folder) / f"{name}.safetensors").exists()]


def load(name: str, folder: FilePath = FOLDER) -> ModelDenoiser:
    """The trained denoiser, in eval mode, on the CPU, in float32; its weights require no gradient.

    `.schedule` is the schedule of its training; `.given(label)` sets the class. Each call reads the file
    again and returns a new network, which you may change. Raises ValueError for a name that is not in
    names(), and for files that do not fit together.
    """
    known = names(folder)
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(known) or '(none here)'}; got {name!r}")
    recipe, path = read_recipe(name, folder), Path(folder) / f"{name}.safetensors"
    weights, _ = read_safetensors(path, FORMAT)
    try:
        net = recipe.make_network(weights)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} must hold the weights of its recipe's network; {error}") from error
    return ModelDenoiser(net.eval().requires_grad_(False), recipe.make_schedule(), recipe.predicts)


def recipes(folder: FilePath = FOLDER) -> list[str]:
    """The names of all recipes in the folder, trained or not."""
    return sorted(path.stem for path in Path(folder).glob("*.json"))


def read_recipe(name: str, folder: FilePath = FOLDER) -> Recipe:
    """The recipe in NAME.json. Raises ValueError for an unknown name."""
    return Recipe.from_json(json.dumps(_read_json(name, folder)["recipe"]))


def quality(name: str, folder: FilePath = FOLDER) -> dict[str, Any]:
    """The measured quality in NAME.json ({} before the first training); ValueError for an unknown name."""
    return _read_json(name, folder).get("quality", {})


def sampler_table(
    path: FilePath = FOLDER / "digits.samplers.csv",
) -> dict[tuple[str, str, int, int], dict[str, float]]:
    """How close a sampler's digits are to held-out ones: {(sampler, spacing, budget, seed): measured}.

    A run makes at most `budget` calls of the network. Measured are `calls`, the calls it made; the Fréchet
    distance in `features` and in `pixels`; the share `recognised`; `precision` and `recall`.
    """
    return {
        (row.pop("sampler"), row.pop("spacing"), row.pop("budget"), row.pop("seed")): row
        for row in read_table(path)
    }


def save(name: str, result: Result, quality: dict[str, Any], folder: FilePath = FOLDER) -> None:
    """Stores the result's averaged weights, rounded to float16, with its recipe and the measured quality."""
    content = safetensors.torch.save(_in_float16(result), {"format": FORMAT})
    write_atomically(Path(folder) / f"{name}.safetensors", content)
    about = {"recipe": json.loads(result.recipe.to_json()), "quality": quality}
    text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
    write_atomically(Path(folder) / f"{name}.json", text.encode())


def rounded(result: Result) -> ModelDenoiser:
    """The result's denoiser as `load` would return it: on the CPU, with weights rounded to float16."""
    net = result.recipe.make_network(_in_float16(result)).eval().requires_grad_(False)
    return ModelDenoiser(net, result.denoiser.schedule, result.denoiser.predicts)


def _in_float16(result: Result) -> dict[str, torch.Tensor]:
    weights = result.denoiser.net.state_dict()
    return {name: value.half().cpu().contiguous() for name, value in weights.items()}


@torch.no_grad()
def measure(denoiser: ModelDenoiser, recipe: Recipe, repeats: int = 8) -> dict[str, Any]:
    """Mean squared error of x̂_0 per coordinate, on held-out data, at the t of SNR 3 and of SNR 10.

    Held-out data are the test digits, with their classes; points that the training did not draw; or 128
    patches of the other half of the photograph, for "upscaling" with what the network is told. The noise is
    the same in every call. Raises ValueError for a recipe with data of your own.
    """
    if recipe.data == "digits":
        x0, label = data.digits("test")
    elif recipe.data in data.TOYS:
        fresh = torch.Generator().manual_seed(recipe.seed + 1)
        x0, label = data.TOYS[recipe.data](10_000, fresh), None
    elif recipe.data in pictures.SETS:
        drawn = pictures.SETS[recipe.data](128, split="test", generator=torch.Generator().manual_seed(0))
        x0, label = drawn if isinstance(drawn, tuple) else (drawn, None)
    else:
        known = ", ".join([*data.TOYS, *pictures.SETS])
        raise ValueError(f"data must be digits or one of {known}; got {recipe.data!r}")
    generator = torch.Generator().manual_seed(0)
    errors = {}
    for snr in (3, 10):
        t = int((denoiser.schedule.log_snr - math.log(snr)).abs().argmin())
        total = 0.0
        for _ in range(repeats):
            x_t = q_sample(x0, t, denoiser.schedule, generator=generator)
            total += (denoiser.given(label)(x_t, t).x0 - x0).square().mean().item()
        errors[f"mse_snr_{snr}"] = round(total / repeats, 5)
    return errors


def _read_json(name: str, folder: FilePath) -> dict[str, Any]:
    known = recipes(folder)
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(known) or '(none here)'}; got {name!r}")
    path = Path(folder) / f"{name}.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if "recipe" in about:
            return about
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f"{str(path)!r} must be JSON with a recipe; {error}") from error
    raise ValueError(f"{str(path)!r} must be JSON with a recipe; it has {', '.join(about) or 'nothing'}")
