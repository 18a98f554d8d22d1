import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_lab import pretrained, samplers
from diffusion_lab.__main__ import main
from diffusion_lab.training import Recipe


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder with two tiny recipes in it: dots.json and faces.json."""
    monkeypatch.chdir(tmp_path)
    dots = Recipe(data="rings", network="MLP", arguments=dict(width=16, depth=1), T=100, steps=20, batch=8)
    faces = Recipe(arguments=dict(width=8, num_classes=10, image_size=8), T=100, steps=2, batch=8)
    (tmp_path / "dots.json").write_text(dots.to_json())
    (tmp_path / "faces.json").write_text(faces.to_json())
    return tmp_path


def test_train_then_sample_points(folder, capsys):
    assert main(["train", "--recipe", "dots.json", "--steps", "3"]) == 0
    assert sorted(path.name for path in (folder / "runs").iterdir()) == ["dots.json", "dots.safetensors"]
    assert pretrained.read_recipe("dots", "runs").steps == 3
    assert "mse_snr_3" in pretrained.quality("dots", "runs")
    assert "runs/dots.safetensors" in capsys.readouterr().out.replace("\\", "/")

    sample = ["sample", "dots", "--folder", "runs", "--n", "5", "--steps", "4"]
    assert main([*sample, "--out", "a.npy"]) == main([*sample, "--out", "b.npy"]) == 0
    assert (
        main([*sample, "--out", "c.npy", "--seed", "1"])
        == main([*sample, "--out", "d.npy", "--sampler", "ddpm"])
        == 0
    )
    a, b, c, d = (np.load(f"{name}.npy") for name in "abcd")
    assert (
        a.shape == (5, 2) and np.array_equal(a, b) and not np.array_equal(a, c) and not np.array_equal(a, d)
    )
    assert main(sample) == 0
    assert Image.open("dots.png").size == (600, 600)


def test_train_then_sample_images(folder):
    assert main(["train", "--recipe", "faces.json", "--out", "out"]) == 0
    sample = ["sample", "faces", "--folder", "out", "--steps", "2"]
    assert main([*sample, "--n", "5", "--label", "3", "--out", "grid.png"]) == 0
    grid = np.asarray(Image.open("grid.png"))
    assert grid.shape == (2 * 64, 3 * 64)
    assert (grid[64:, 128:] == 0).all()  # five of six places are taken
    assert main([*sample, "--n", "5", "--label", "3", "--out", "grid.npy"]) == 0
    tile = ((np.load("grid.npy")[0, 0].clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
    assert np.array_equal(grid[:64:8, :64:8], tile)


@pytest.mark.parametrize("spacing", samplers.SPACINGS)
@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_each_sampler_and_spacing_is_the_one_of_the_package(folder, name, spacing):
    arguments = ["--sampler", name, "--spacing", spacing, "--steps", "5", "--n", "4", "--seed", "3"]
    assert main(["sample", "moons", *arguments, "--out", "a.npy"]) == 0
    model, generator = pretrained.load("moons"), torch.Generator().manual_seed(3)
    x_T = samplers.p_sample_prior((4, 2), model.schedule, generator)
    times = samplers.timesteps(model.schedule, 5, spacing)
    *_, last = samplers.SAMPLERS[name](model, x_T, model.schedule, times, generator=generator)
    assert np.array_equal(np.load("a.npy"), last.x.numpy())


def test_guidance_at_0_forgets_the_label_at_1_keeps_it_and_beyond_goes_on(folder):
    sample, x = ["sample", "digits", "--steps", "2", "--n", "3"], {}
    asked = {"any": [], "label": ["--label", "3"]}
    asked |= {w: [*asked["label"], "--guidance", w] for w in ("0", "1", "2.5")}
    for name, arguments in asked.items():
        assert main([*sample, *arguments, "--out", "x.npy"]) == 0
        x[name] = np.load("x.npy")
    np.testing.assert_allclose(x["0"], x["any"], atol=1e-4)
    np.testing.assert_allclose(x["1"], x["label"], atol=1e-4)
    assert np.abs(x["2.5"] - x["label"]).max() > 0.1


def test_an_interrupted_run_goes_on(folder, monkeypatch, capsys):
    from diffusion_lab import __main__ as cli
    from diffusion_lab import training

    def interrupt(step, denoiser, history):
        raise KeyboardInterrupt

    def stopped(recipe, **options):
        return training.train(recipe, callback=interrupt, callback_every=12, checkpoint_every=5, **options)

    with monkeypatch.context() as patch:
        patch.setattr(cli, "train", stopped)
        assert main(["train", "--recipe", "dots.json"]) == 130
    out = capsys.readouterr().out
    assert "Interrupted after 12 of 20" in out and "--resume" in out
    assert [path.name for path in (folder / "runs").iterdir()] == ["dots.checkpoint"]
    assert main(["train", "--recipe", "dots.json", "--steps", "30", "--resume"]) == 2
    assert "must be a run with steps = 30" in capsys.readouterr().err
    assert main(["train", "--recipe", "dots.json", "--resume"]) == 0
    assert main(["train", "--recipe", "dots.json", "--out", "straight"]) == 0
    files = [folder / out / "dots.safetensors" for out in ("runs", "straight")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "give one of NAME (digits,"),
        (["train", "digits", "--all"], "give one of NAME"),
        (["train", "cats"], "name must be one of digits, mixture, moons, patches, upscaling; got 'cats'"),
        (["train", "moons", "--device", "warp"], "device must be one that this machine has; got 'warp'"),
        (["train", "moons", "--steps", "0"], "steps must be an integer of at least 1; got 0"),
        (["train", "moons", "--resume"], "moons.checkpoint' must be a 'diffusion_lab checkpoint 1' file"),
        (["train", "--recipe", "gone.json"], "gone.json"),
        (["train", "--recipe", "torn.json"], "a recipe must be a JSON object"),
        (["sample", "cats"], "name must be one of"),
        (["sample", "dots", "--folder", "runs", "--n", "0"], "--n must be an integer of at least 1; got 0"),
        (["sample", "dots", "--folder", "runs", "--steps", "101"], "steps must be at most T = 100; got 101"),
        (["sample", "dots", "--folder", "runs", "--label", "1"], "label must be None"),
        (["sample", "digits", "--guidance", "2"], "--guidance needs the class to lean towards: give --label"),
        (["sample", "digits", "--label", "3", "--guidance", "nan"], "w must be a finite number"),
        (["sample", "digits", "--label", "10"], "label must"),
        (["sample", "moons", "--label", "1", "--guidance", "2"], "label must be None"),
        (["export", "site", "--notebooks", "gone"], "notebooks must be a folder with notebooks in it; got"),
        (["export", ".", "--notebooks", "course"], "site must be a new folder, an empty one, or an earlier"),
        (
            ["sample", "dots", "--folder", "runs", "--out", "a.gif"],
            "--out must end in .png or .npy; got 'a.gif'",
        ),
    ],
)
def test_a_mistake_is_answered_in_one_line(folder, capsys, arguments, message):
    (folder / "torn.json").write_text("{")
    (folder / "course").mkdir()
    (folder / "course" / "00_a.ipynb").write_text("{}")
    if "dots" in arguments:
        main(["train", "--recipe", "dots.json", "--steps", "1"])
        capsys.readouterr()
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"diffusion_lab {arguments[0]}: ") and message in err and err.count("\n") == 1


def test_export_says_where_the_site_is_and_how_large(folder, capsys, monkeypatch):
    modules = {"diffusion_lab.gaussian": "diffusion_lab/gaussian.py"}  # one of them takes less time than all
    monkeypatch.setattr("diffusion_lab.export.modules", lambda: modules)
    (folder / "course").mkdir()
    cells = [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# 00 · A text"}]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "course" / "00_a.ipynb").write_text(json.dumps(notebook))
    assert main(["export", "site", "--notebooks", "course"]) == 0
    said = capsys.readouterr()
    assert f"{folder / 'site' / 'index.html'}: " in said.out and said.out.endswith(" MB\n")
    assert "00_a" in said.err  # the progress bar
    assert "A text" in (folder / "site" / "00_a.html").read_text(encoding="utf-8")


def test_help_and_unknown_options(capsys):
    for arguments in (["--help"], ["train", "--help"], ["sample", "--help"], ["export", "--help"]):
        with pytest.raises(SystemExit) as exit:
            main(arguments)
        assert exit.value.code == 0
    out = capsys.readouterr().out
    assert "--resume" in out and "--label" in out and "digits" in out and "--notebooks" in out
    assert all(name in out for name in [*samplers.SAMPLERS, *samplers.SPACINGS, "--guidance"])
    for wrong in (["--warp"], ["--sampler", "euler"], ["--spacing", "leading"], ["--guidance", "much"]):
        with pytest.raises(SystemExit) as exit:
            main(["sample", "digits", *wrong])
        assert exit.value.code == 2
        assert wrong[0] in capsys.readouterr().err


def test_the_module_runs_and_imports_nothing_heavy(tmp_path):
    heavy = "sklearn scipy matplotlib pandas PIL plotly ipywidgets nbconvert".split()
    code = f"import sys, diffusion_lab.__main__; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
    run = subprocess.run(
        [sys.executable, "-m", "diffusion_lab", "sample", "cats"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert run.returncode == 2 and "Traceback" not in run.stderr
