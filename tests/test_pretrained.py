import json

import pytest
import torch

from diffusion_lab import pretrained, samplers
from diffusion_lab.training import Recipe, train
from diffusion_lab.unet import ModelDenoiser


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with one tiny trained network, "tiny", and the result it was saved from."""
    folder = tmp_path_factory.mktemp("pretrained")
    recipe = Recipe(data="moons", network="MLP", arguments=dict(width=16, depth=1), T=100, steps=30)
    result = train(recipe, progress=False)
    pretrained.save("tiny", result, {"mse": 0.5}, folder)
    return folder, result


def test_the_package_has_its_recipes():
    assert {"digits", "mixture", "moons", "patches", "upscaling"} <= set(pretrained.recipes())
    for name in pretrained.recipes():
        recipe = pretrained.read_recipe(name)
        assert recipe.data == name
        recipe.make_network(), recipe.make_schedule()


@pytest.mark.parametrize("name", pretrained.names())
def test_every_network_that_ships_loads_and_samples(name):
    denoiser = pretrained.load(name)
    x_T = samplers.p_sample_prior(
        (4, *denoiser.net.shape), denoiser.schedule, torch.Generator().manual_seed(0)
    )
    times = samplers.timesteps(denoiser.schedule, 10)
    *_, last = samplers.ddim(denoiser, x_T, denoiser.schedule, times)
    assert last.x.isfinite().all() and last.x.abs().max() < 2
    assert pretrained.quality(name)


def test_all_that_ships_is_small():
    assert sum(path.stat().st_size for path in pretrained.FOLDER.glob("*.safetensors")) <= 10e6


def test_what_is_saved_is_loaded_again(trained):
    folder, result = trained
    assert pretrained.names(folder) == ["tiny"]
    assert pretrained.read_recipe("tiny", folder) == result.recipe
    assert pretrained.quality("tiny", folder) == {"mse": 0.5}
    denoiser = pretrained.load("tiny", folder)
    assert type(denoiser) is ModelDenoiser and not denoiser.net.training
    assert torch.equal(denoiser.schedule.signal, result.denoiser.schedule.signal)
    rounded = pretrained.rounded(result)
    for now, before, expected in zip(
        denoiser.net.parameters(), result.denoiser.net.parameters(), rounded.net.parameters(), strict=True
    ):
        assert now.dtype == torch.float32 and not now.requires_grad
        assert torch.equal(now, before.half().float()) and torch.equal(now, expected)
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(denoiser(x, 50).x0, result.denoiser(x, 50).x0, atol=0.01)


def test_measuring_tells_a_trained_network_from_an_untrained_one(trained):
    _, result = trained
    now = pretrained.measure(result.denoiser, result.recipe)
    assert now == pretrained.measure(result.denoiser, result.recipe)
    before = ModelDenoiser(result.recipe.make_network(), result.denoiser.schedule, "v")
    before = pretrained.measure(before, result.recipe)
    assert now.keys() == before.keys() == {"mse_snr_3", "mse_snr_10"}
    assert now["mse_snr_3"] < before["mse_snr_3"]
    with pytest.raises(ValueError, match=r"data must be digits or one of moons, .*; got 'mine'"):
        pretrained.measure(result.denoiser, Recipe(data="mine"))


@pytest.mark.parametrize("ask", [pretrained.load, pretrained.read_recipe, pretrained.quality])
def test_an_unknown_name_is_answered_with_the_known_ones(trained, ask):
    with pytest.raises(ValueError, match="name must be one of tiny; got 'tony'"):
        ask("tony", trained[0])
    with pytest.raises(ValueError, match=r"name must be one of \(none here\); got 'tiny'"):
        ask("tiny", trained[0] / "elsewhere")


def test_files_that_do_not_fit_together_are_named(trained, tmp_path):
    _, result = trained
    pretrained.save("tiny", result, {}, tmp_path)
    weights, about = tmp_path / "tiny.safetensors", tmp_path / "tiny.json"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-10])
    with pytest.raises(
        ValueError, match=r"tiny\.safetensors' must be a 'diffusion_lab weights 1' file; reading"
    ):
        pretrained.load("tiny", tmp_path)
    weights.write_bytes(whole)
    text = json.loads(about.read_text())
    text["recipe"]["arguments"]["width"] = 8
    about.write_text(json.dumps(text))
    with pytest.raises(ValueError, match=r"tiny\.safetensors' must hold the weights of its recipe's network"):
        pretrained.load("tiny", tmp_path)
    about.write_text("{}")
    with pytest.raises(ValueError, match=r"tiny\.json' must be JSON with a recipe; it has nothing"):
        pretrained.load("tiny", tmp_path)
    about.write_text("{")
    with pytest.raises(ValueError, match=r"tiny\.json' must be JSON with a recipe; "):
        pretrained.load("tiny", tmp_path)
