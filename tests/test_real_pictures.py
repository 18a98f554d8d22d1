"""Pictures from other packages' files: which, how they are cut, and that no test pixel is ever trained on."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data as skimage_data
from sklearn.datasets import load_sample_image

from diffusion_lab import pictures, pretrained
from diffusion_lab.recipe import Recipe
from diffusion_lab.training import load_data, train
from diffusion_lab.unet import ModelDenoiser, TinyUNet


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# --- faces ---


def test_faces_are_the_first_hundred_of_scikit_images_subset_each_once():
    train_faces, test_faces = pictures.faces(), pictures.faces("test")
    assert train_faces.shape == (80, 1, 25, 25) and test_faces.shape == (20, 1, 25, 25)
    original = torch.from_numpy(2 * skimage_data.lfw_subset()[:100] - 1).float()
    order = [k for k in range(100) if k % 5] + list(range(0, 100, 5))
    assert torch.allclose(torch.cat([train_faces, test_faces])[:, 0], original[order], atol=1e-6)
    assert train_faces.dtype == torch.float32 and -1 <= train_faces.min() < train_faces.max() <= 1


# --- patches ---


def grey(picture):
    """The photograph as scikit-learn reads it, in grey by the usual weights (ITU-R 601), in [−1, 1]."""
    return load_sample_image(f"{picture}.jpg") @ np.array([0.299, 0.587, 0.114]) / 127.5 - 1


def found_in(patch, half):
    """Whether one of the patch's eight symmetric forms is a part of `half`, up to two grey levels or so."""
    rows, columns = half.shape[0] - 23, half.shape[1] - 23
    for form in (p.rot90(k, (0, 1)) for p in (patch, patch.flip(1)) for k in range(4)):
        fits = np.ones((rows, columns), dtype=bool)  # decoders differ a little, and so do the weights of grey
        for i, j in itertools.product(range(24), repeat=2):
            fits &= abs(half[i : i + rows, j : j + columns] - form[i, j].item()) < 0.02
            if not fits.any():
                break
        else:
            return True
    return False


@pytest.mark.parametrize(("picture", "split"), [("flower", "train"), ("flower", "test"), ("china", "test")])
def test_each_patch_lies_in_its_half_of_the_photograph_and_nowhere_in_the_other(picture, split):
    whole, x = grey(picture), pictures.patches(3, split=split, generator=seeded(3), picture=picture)
    halves = whole[:, :320], whole[:, 320:]
    own, other = halves if split == "train" else halves[::-1]
    for patch in x[:, 0]:
        assert found_in(patch, own) and not found_in(patch, other)


def test_all_eight_symmetries_occur_equally_often(monkeypatch):
    only = torch.arange(9.0).reshape(3, 3)
    monkeypatch.setattr(pictures, "_places", lambda *_: (only, torch.zeros(1, 2, dtype=torch.int64)))
    x = pictures.patches(4000, size=3, generator=seeded())[:, 0]
    forms = [p.rot90(k, (0, 1)) for p in (only, only.T) for k in range(4)]
    counts = [(x == form).all(2).all(1).sum().item() for form in forms]
    assert sum(counts) == 4000 and 400 < min(counts) and max(counts) < 600


def test_patches_are_not_flat_in_range_and_drawn_from_the_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    x = pictures.patches(500, generator=seeded())
    assert torch.equal(torch.get_rng_state(), before)
    assert x.shape == (500, 1, 24, 24) and x.dtype == torch.float32 and x.abs().max() <= 1
    assert x.flatten(1).std(1, correction=0).min() > pictures.CONTRAST - 1e-6
    assert torch.equal(x, pictures.patches(500, generator=seeded()))
    assert not torch.equal(x, pictures.patches(500, generator=seeded(1)))
    assert pictures.patches(3, size=16, split="test", picture="china").shape == (3, 1, 16, 16)


def test_enlarged_keeps_a_flat_picture_and_knows_no_left_and_right():
    flat = torch.full((1, 1, 24, 24), 0.3)
    assert torch.allclose(pictures.enlarged(flat), flat)
    x = torch.rand(2, 1, 24, 24, generator=seeded())
    assert torch.allclose(pictures.enlarged(x.flip(3)), pictures.enlarged(x).flip(3), atol=1e-6)
    x, y = pictures.upscaling(5, "test", seeded())
    assert torch.equal(x, pictures.patches(5, split="test", generator=seeded()))
    assert (F.avg_pool2d(y, 4) - F.avg_pool2d(x, 4)).abs().max() < 0.2 < (y - x).abs().max()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pictures.faces("all"), 'split must be "train" or "test"; got \'all\''),
        (lambda: pictures.patches(0), "n must be an integer of at least 1; got 0"),
        (lambda: pictures.patches(2, 321), "size must be at most 320, half the photograph; got 321"),
        (lambda: pictures.patches(2, picture="cat"), "picture must be one of flower, china; got 'cat'"),
        (lambda: pictures.patches(2, split="valid"), 'split must be "train" or "test"'),
    ],
)
def test_what_there_is_not_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_without_the_package_it_is_named(monkeypatch):
    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="scikit-image must be installed: the pictures are among its files"):
        pictures.faces()


# --- a network that is told a picture ---

TOLD = dict(width=8, levels=2, told=1, image_size=24)


def test_what_it_is_told_matters_and_none_is_a_picture_of_zeros():
    net = TinyUNet(1, **TOLD)
    with torch.no_grad():
        for weight in net.last.parameters():  # zeros, before training
            weight.normal_(generator=seeded())
        x, y = (torch.randn(3, 1, 24, 24, generator=seeded(k)) for k in (1, 2))
        assert torch.equal(net(x, 5), net(x, 5, torch.zeros_like(y)))
        assert not torch.allclose(net(x, 5), net(x, 5, y), atol=1e-3)
        hidden = torch.tensor([True, False, True])
        mixed = torch.where(hidden[:, None, None, None], net(x, 5), net(x, 5, y))
        assert torch.allclose(net(x, 5, y, hidden), mixed, atol=1e-5)
        assert torch.allclose(net(x, 5, y[:1]), net(x, 5, y[:1].expand(3, -1, -1, -1)))


@pytest.mark.parametrize(
    "wrong", [3, torch.zeros(24, 24), torch.zeros(2, 1, 24, 24), torch.zeros(3, 2, 24, 24)]
)
def test_other_pictures_are_rejected(wrong):
    with pytest.raises(
        ValueError, match=r"label must be pictures \[3, 1, 24, 24\], the network is told such; got"
    ):
        TinyUNet(1, **TOLD)(torch.zeros(3, 1, 24, 24), 5, wrong)


def test_labels_and_pictures_together_are_rejected():
    with pytest.raises(ValueError, match="told must be 0 for a network that takes labels; got 1"):
        TinyUNet(1, num_classes=3, told=1)


def test_a_denoiser_is_given_a_picture():
    recipe = Recipe(arguments=TOLD)
    denoiser = ModelDenoiser(recipe.make_network(), recipe.make_schedule(), "v")
    x, y = (torch.randn(2, 1, 24, 24, generator=seeded(k)) for k in (1, 2))
    assert denoiser.given(y).label is y and denoiser.given(None).label is None
    assert denoiser.given(y)(x, 500).x0.shape == x.shape and denoiser.shape == (1, 24, 24)


@pytest.mark.slow
def test_training_on_pairs_is_reproducible_and_uses_the_second_picture():
    x0 = (
        torch.where(torch.rand(64, 1, 1, 1, generator=seeded()) < 0.5, -1.0, 1.0)
        .expand(-1, 1, 8, 8)
        .contiguous()
    )
    net = dict(width=8, levels=1, told=1)
    recipe = Recipe(arguments=net, steps=100, lr=5e-3, batch=16, label_dropout=0.0)
    first, again = (train(recipe, (x0, x0), progress=False) for _ in range(2))
    assert torch.equal(first.history.loss, again.history.loss)
    blind = train(recipe, (x0, torch.zeros_like(x0)), progress=False)
    late = first.history.t[-20:] > 800  # there x_t says little: only who is told can know
    errors = [run.history.loss[-20:][late].mean() for run in (first, blind)]
    assert errors[0] < 0.2 < 0.4 < errors[1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.zeros(4, 1, 8, 8) - 0.5, "data must come with pictures that the network is told"),
        ((torch.zeros(4, 1, 8, 8) - 0.5, torch.zeros(4, 1, 4, 4)), r"label must have shape \[4, 1, 8, 8\]"),
    ],
)
def test_pairs_that_do_not_fit_are_rejected(data, message):
    with pytest.raises(ValueError, match=message):
        train(Recipe(arguments=dict(width=8, levels=1, told=1), steps=1), data, progress=False)


# --- what ships ---


def test_a_recipe_may_name_patches_or_pairs():
    recipe = Recipe(data="patches", seed=4)
    assert torch.equal(load_data(recipe)[:7], pictures.patches(20_000, generator=seeded(4))[:7])
    x, y = load_data(Recipe(data="upscaling"))
    assert torch.equal(y, pictures.enlarged(x)) and len(x) == 20_000


@pytest.mark.parametrize("name", ["patches", "upscaling"])
def test_the_networks_that_ship_know_the_other_half_of_the_flower(name):
    """The error of x̂_0 at SNR 3 is far below that of a best guess from each pixel by itself."""
    found = pretrained.quality(name)
    x = pictures.patches(512, split="test", generator=seeded())
    alone = x.var().item() / (1 + 3 * x.var().item())  # each pixel by itself
    assert found["mse_snr_3"] < 0.25 * alone and found["mse_snr_10"] < found["mse_snr_3"]
    if name == "upscaling":
        assert found["mse_snr_3"] < pretrained.quality("patches")["mse_snr_3"]
