"""Training: a `Recipe` says what to do, `train` does it.

Draw x_0, t and ε, give x_t to the network, and take the mean squared error in the view that it predicts. In
terms of x_0 (Salimans & Ho 2022, section 4), on a variance-preserving schedule, the recipe's choices are::

    predicts = "eps"    SNR_t ‖x_0 − x̂_0‖²          the simple objective (Ho et al. 2020, eq. 14)
    predicts = "x0"     ‖x_0 − x̂_0‖²
    predicts = "v"      (1 + SNR_t) ‖x_0 − x̂_0‖²    the default

With min_snr = γ, all three are min(SNR_t, γ) ‖x_0 − x̂_0‖² (Hang et al. 2023). Karras et al. 2022 (table 1)
precondition the network and weight its error, for data of standard deviation σ_data. For σ_data = 1 this *is*
"v", up to its sign. The result has the moving average of the weights (EMA).

A run is reproducible. Batches are drawn on the CPU from one generator, so a seed gives the same batches on
every device. Dropout has its own generator, which is seeded again at each step. So on the CPU, a run resumed
from a checkpoint is bit for bit the same as an uninterrupted run.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from . import data as datasets
from . import pictures
from .checkpoints import FilePath, load_checkpoint, save_checkpoint
from .checks import check_data, noise_like
from .forward import q_sample
from .history import History
from .layers import Dropout, Label, check_label
from .model import ModelDenoiser
from .recipe import Recipe
from .schedules import NoiseSchedule
from .unet import MLP, TinyUNet
from .views import Prediction

__all__ = [
    "History",
    "Result",
    "check_device",
    "learning_rate",
    "load_data",
    "loss_weight",
    "moving_average",
    "train",
]

Data = Tensor | tuple[Tensor, Label]  # x0, or (x0, label)
Tensors = tuple[Tensor, ...] | list[Tensor]


@dataclass
class Result:
    """What train() returns: the denoiser with the averaged weights, in eval mode, and how it was trained."""

    denoiser: ModelDenoiser
    history: History
    recipe: Recipe
    interrupted: bool = False


def train(
    recipe: Recipe,
    data: Data | None = None,
    *,
    device: torch.device | str = "cpu",
    callback: Callable[[int, ModelDenoiser, History], None] | None = None,
    callback_every: int = 100,
    checkpoint: FilePath | None = None,
    checkpoint_every: int = 500,
    resume: bool = False,
    progress: bool = True,
) -> Result:
    """Trains the recipe's network.

    :param data: x0 `[N, *D]` in [−1, 1] (latents of 4 channels: of unit variance), or (x0, label [N]);
        labels may be a list or array, and are ignored if the network has no classes. For a network that is
        `told` pictures they are these pictures, and for one that reads captions the captions. Unless given,
        it is the set that the recipe names
    :param device: "cpu", "cuda", "mps", …
    :param callback: called as callback(step, denoiser, history) every `callback_every` steps and after the
        last; the denoiser has the current averaged weights, and can be sampled from
    :param checkpoint: file for the whole state, written every `checkpoint_every` steps and after the last
    :param resume: continue from `checkpoint`, to the result of an uninterrupted run
    :param progress: show a progress bar

    Interrupting (Ctrl-C, or the notebook's ■) ends the training early. The result is usable, with the history
    so far and `interrupted` set; a checkpoint stays as it was last written. No global generator is touched,
    so other threads draw the same numbers as without a training. Raises ValueError for data that do not fit
    the recipe, for a checkpoint that cannot be read or belongs to another recipe, and if the loss stops being
    a number; warns about images in [0, 1].
    """
    device = check_device(device)
    data = load_data(recipe) if data is None else data
    x0, label = data if isinstance(data, (tuple, list)) else (data, None)
    x0, schedule, net = _check_x0(x0, recipe), recipe.make_schedule(), recipe.make_network()
    label = _check_labels(label, x0, net)
    # channels_last is the layout for fast convolutions on a GPU; it slows a CPU down on small images
    fast = x0.ndim == 4 and device.type == "cuda"
    layout = torch.channels_last if fast else torch.contiguous_format
    # torch's stubs do not know that a module's `to` takes a memory_format
    net = net.to(device, memory_format=layout).train()  # pyrefly: ignore[no-matching-overload]
    ema = moving_average(net, recipe.ema_decay)
    denoiser = ModelDenoiser(ema.module, schedule, recipe.predicts)
    optimizer = torch.optim.AdamW(
        net.parameters(), recipe.lr, (0.9, recipe.beta2), weight_decay=recipe.weight_decay, fused=True
    )
    generator = torch.Generator().manual_seed(recipe.seed)
    dropout = torch.Generator(device)
    for layer in net.modules():
        if isinstance(layer, Dropout):
            layer.generator = dropout
    weight = loss_weight(recipe, schedule)
    shape = (recipe.steps, recipe.batch)
    history = History(0, torch.zeros(shape, dtype=torch.int32), torch.zeros(shape, device=device))
    if resume:
        if checkpoint is None:
            raise ValueError("checkpoint must name the file to resume from; got None")
        load_checkpoint(checkpoint, recipe, net, ema, optimizer, generator, history)

    interrupted = False
    bar = tqdm(total=recipe.steps, initial=history.step, disable=not progress, unit="step")
    with bar:
        try:
            for step in range(history.step, recipe.steps):
                # 1. A batch: x_0, t and ε give x_t, and the target in the view that the network predicts
                x_t, t, y, hidden, target = _draw_batch(recipe, x0, label, schedule, generator)
                x_t, target = x_t.to(device, memory_format=layout), target.to(device)

                # 2. The squared error, per example
                dropout.manual_seed(recipe.seed + step)  # at each step, so that a resumed run is the same
                with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
                    value = net(x_t, t, y, hidden)
                loss = (value.float() - target).square().flatten(1).mean(1)

                # 3. One step of AdamW, and one of the average
                optimizer.zero_grad()
                (loss * weight[t].to(loss)).mean().backward()
                nn.utils.clip_grad_norm_(net.parameters(), recipe.clip_norm)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(step, recipe)
                optimizer.step()
                ema.update_parameters(net)
                history.t[step], history.loss[step] = t, loss.detach()
                history.step = done = step + 1

                # 4. From time to time: show the loss, save, call back
                bar.update()
                if done % 50 == 0 or done == recipe.steps:
                    recent = history.loss[max(0, done - 50) : done].mean().item()
                    if not math.isfinite(recent):
                        raise ValueError(
                            f"lr = {recipe.lr} must be lower: the loss is {recent} at step {done}"
                        )
                    bar.set_postfix(loss=f"{recent:.4f}")
                if checkpoint is not None and (done % checkpoint_every == 0 or done == recipe.steps):
                    save_checkpoint(checkpoint, recipe, net, ema, optimizer, generator, history)
                if callback is not None and (done % callback_every == 0 or done == recipe.steps):
                    callback(done, denoiser, history)
        except KeyboardInterrupt:
            interrupted = True
            bar.write(
                f"Interrupted after {history.step} of {recipe.steps} steps. The result is usable as it is."
            )
    return Result(denoiser, history, recipe, interrupted)


def learning_rate(step: int, recipe: Recipe) -> float:
    """The learning rate at step 0, 1, …: up linearly to recipe.lr, then down to 0 along half a cosine."""
    warm = recipe.warmup * recipe.steps
    if step + 1 < warm:
        return recipe.lr * (step + 1) / warm
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / (recipe.steps - warm)))


def loss_weight(recipe: Recipe, schedule: NoiseSchedule) -> Tensor:
    """The weight of the squared error at each t, [T+1]: 1, or min-SNR for min_snr = γ (Hang et al. 2023).

    With min-SNR, the error of x̂_0 has the weight min(SNR_t, γ). The error of ε̂ is SNR_t times as large, and
    that of v̂ SNR_t + 1 times, so their weights are divided by these factors.
    """
    if recipe.min_snr is None:
        return torch.ones_like(schedule.snr)
    own = {"eps": schedule.snr, "x0": torch.ones_like(schedule.snr), "v": schedule.snr + 1}[recipe.predicts]
    return schedule.snr.clamp(max=recipe.min_snr) / own


def _draw_batch(
    recipe: Recipe, x0: Tensor, label: Tensor | None, schedule: NoiseSchedule, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor]:
    """x_t, t, the labels and which of them to hide (None without labels), and the target (the true view)."""
    pick = torch.randint(len(x0), (recipe.batch,), generator=generator)
    t, noise = _draw_t(recipe, generator), noise_like(x0[pick], generator)
    hidden = torch.rand(recipe.batch, generator=generator) < recipe.label_dropout
    x_t = q_sample(x0[pick], t, schedule, noise)
    target = getattr(Prediction(x_t, t, schedule, x0[pick], noise), recipe.predicts)
    if label is None:
        return x_t, t, None, None, target
    return x_t, t, label[pick], hidden, target


def _draw_t(recipe: Recipe, generator: torch.Generator) -> Tensor:
    """t [batch], each uniform in 1…T, but spread evenly over the batch, so that the loss varies less.

    (After the low-discrepancy sampler of Kingma et al. 2021.) The examples are in random order anyway.
    """
    u = (torch.arange(recipe.batch) + torch.rand(recipe.batch, generator=generator)) / recipe.batch
    return (1 + (recipe.T * u).long()).clamp(max=recipe.T)  # rounding can make u = 1


def moving_average(net: nn.Module, decay: float) -> AveragedModel:
    """ema ← d · ema + (1 − d) · weights, with d = min(decay, (1 + n)/(10 + n)), at update n of the result.

    Without that warm-up, a short run's average would be mostly its first weights. The average `.module` is in
    eval mode and requires no gradient; `update_parameters(net)` moves it on.
    """

    def update(averaged: Tensors, current: Tensors, n: Tensor | int) -> None:
        get_ema_multi_avg_fn(min(decay, (1 + float(n)) / (10 + float(n))))(averaged, current, n)

    # use_buffers=False: a table must not be averaged
    ema = AveragedModel(net, multi_avg_fn=update, use_buffers=False)
    ema.eval().requires_grad_(False)
    return ema


def check_device(device: torch.device | str) -> torch.device:
    """torch.device(device), if this machine has it; otherwise a ValueError."""
    try:
        device = torch.device(device)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch raises several kinds of error here
        why = str(error).splitlines()[0]
        raise ValueError(f"device must be one that this machine has; got {str(device)!r}: {why}") from error
    return device


def load_data(recipe: Recipe) -> Data:
    """The set that the recipe names.

    (x0, label) of "digits"; 100 000 points of a 2-D set; 20 000 "patches", or pairs of them for "upscaling".
    """
    if recipe.data == "digits":
        return datasets.digits("train")
    if recipe.data in datasets.TOYS:
        return datasets.TOYS[recipe.data](100_000, torch.Generator().manual_seed(recipe.seed))
    if recipe.data in pictures.SETS:
        return pictures.SETS[recipe.data](20_000, generator=torch.Generator().manual_seed(recipe.seed))
    known = ", ".join(["digits", *datasets.TOYS, *pictures.SETS])
    raise ValueError(f"data must be one of {known}, or be given to train(); got {recipe.data!r}")


def _check_x0(x0: Tensor, recipe: Recipe) -> Tensor:
    check_data(x0, "data")
    if len(x0) == 0:
        raise ValueError("data must hold at least one example; got none")
    if recipe.network == "TinyUNet" and recipe.arguments.get("channels") != 4:  # latents have no bounds
        low, high = x0.min().item(), x0.max().item()
        if max(high, -low) > 1:
            raise ValueError(f"data must be images in [-1, 1]; got values up to {max(high, -low):g} in size")
        if 0 <= low < high:
            warnings.warn(
                f"data lie in [{low:g}, {high:g}], as if black were 0. Here it is -1: for images in [0, 1], "
                "train on 2 * images - 1.",
                stacklevel=3,
            )
    return x0.detach().cpu().float()


def _check_labels(label: Label | None, x0: Tensor, net: TinyUNet | MLP) -> Tensor | None:
    told, num_classes, N = getattr(net, "told", 0), net.num_classes, len(x0)
    if read := getattr(net, "read", None):  # captions: the network knows how words become numbers
        captions: Tensor = read(label)
        if label is None or len(captions) != N:
            raise ValueError(f"data must come with captions, one for each of {N} examples: (x0, captions)")
        return captions
    if told:
        if label is None:
            raise ValueError("data must come with pictures that the network is told: (x0, pictures)")
        expected = [N, told, *x0.shape[2:]]
        return check_data(label, "label", expected).detach().cpu().float()
    if num_classes is None:
        return None
    if label is None:
        raise ValueError(f"data must come with labels: the recipe's network has {num_classes} classes")
    label = check_label(label, num_classes, look=True).cpu()
    if label.shape != (N,):
        raise ValueError(f"label must have shape [{N}], one for each x0; got {list(label.shape)}")
    return label
