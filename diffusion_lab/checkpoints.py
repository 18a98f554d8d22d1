"""Checkpoints: the whole state of a training run in one file, which is never left half written.

A safetensors file holds plain numbers. Unlike a pickle, it contains nothing that runs when it is read. A file
that is cut short, of another kind, or of another recipe is a ValueError that says so.
"""

import json
import os
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .history import History
from .recipe import Recipe

FilePath = str | os.PathLike[str]
FORMAT = "diffusion_lab checkpoint 1"


def write_atomically(path: FilePath, content: bytes) -> None:
    """Writes a second file, which then replaces the first: if the machine stops, one of them is there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_checkpoint(
    path: FilePath,
    recipe: Recipe,
    net: nn.Module,
    ema: nn.Module,
    optimizer: Optimizer,
    generator: torch.Generator,
    history: History,
) -> None:
    """Writes the whole state of a run into one safetensors file."""
    tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
    tensors |= {f"ema.{name}": value for name, value in ema.state_dict().items()}
    for name, weight in net.named_parameters():
        tensors |= {f"adam.{key}.{name}": value for key, value in optimizer.state[weight].items()}
    tensors |= {
        "generator": generator.get_state(),
        "history.t": history.t[: history.step],
        "history.loss": history.loss[: history.step],
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {"format": FORMAT, "recipe": recipe.to_json()}
    write_atomically(path, safetensors.torch.save(tensors, metadata))


def read_safetensors(path: FilePath, expected_format: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(tensors, metadata) of one of our files; ValueError if it is missing, cut short or of another kind."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(f"{str(path)!r} must be a {expected_format!r} file; reading it: {error}") from error
    if metadata.get("format") != expected_format:
        found = metadata.get("format", "a safetensors file of other make")
        raise ValueError(f"{str(path)!r} must be a {expected_format!r} file; it is {found!r}")
    return tensors, metadata


def load_checkpoint(
    path: FilePath,
    recipe: Recipe,
    net: nn.Module,
    ema: nn.Module,
    optimizer: Optimizer,
    generator: torch.Generator,
    history: History,
) -> None:
    """Puts the state that `save_checkpoint` wrote into the arguments after `recipe`.

    Raises ValueError for a file that cannot be read, and for one that belongs to another recipe; the message
    names the first field that differs.
    """
    tensors, metadata = read_safetensors(path, FORMAT)
    ours, theirs = json.loads(recipe.to_json()), json.loads(metadata["recipe"])
    for name in ours | theirs:
        if ours.get(name) != theirs.get(name):
            expected = f"{name} = {ours.get(name)!r}, as the recipe has"
            raise ValueError(f"{str(path)!r} must be a run with {expected}; it has {theirs.get(name)!r}")
    net.load_state_dict(_part(tensors, "net."))
    ema.load_state_dict(_part(tensors, "ema."))
    for name, weight in net.named_parameters():
        like = {"step": torch.empty((), device=weight.device), "exp_avg": weight, "exp_avg_sq": weight}
        for key, tensor in like.items():
            state = torch.empty_like(tensor, requires_grad=False)  # with the layout of the weight
            optimizer.state[weight][key] = state.copy_(tensors[f"adam.{key}.{name}"])
    generator.set_state(tensors["generator"])
    history.step = len(tensors["history.t"])
    history.t[: history.step] = tensors["history.t"]
    history.loss[: history.step] = tensors["history.loss"]


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
