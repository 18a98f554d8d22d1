"""The worked examples of CONTRIBUTING.md do what they say."""

import importlib.util
import re
import subprocess
import sys

import nbformat
import pytest
import torch
from nbtools import ROOT
from onscreen import run_code
from test_ground import code_lines

from diffusion_lab import samplers, schedules
from diffusion_lab.exact import Empirical, GaussianMixture
from diffusion_lab.exercises.checking import judge
from diffusion_lab.forward import q_marginal

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def blocks(kind: str) -> list[tuple[str, str]]:
    """(language, text) of the blocks that are marked as `kind`."""
    return re.findall(rf"^```(python|markdown) {kind}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def example(request, tmp_path):
    """The module that the only block of a kind is."""
    ((_, source),) = blocks(request.param)
    path = tmp_path / f"{request.param}_example.py"
    path.write_text(source, "utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # inspect.getsource looks here
    spec.loader.exec_module(module)
    yield module
    del sys.modules[path.stem]


@pytest.mark.parametrize("example", ["explorer"], indirect=True)
def test_the_explorer(example, tmp_path):
    table = schedules.cosine(100)
    explorer = example.Walk(x_0=0.5, t=60)
    assert len(explorer.controls) == 4 and explorer.main == "t"
    assert sum(name.startswith("xaxis") for name in explorer.shown.layout) == 2
    assert code_lines(tmp_path / "explorer_example.py") <= 60
    found = {name: float(number) for name, number in explorer.numbers.items()}
    expected = q_marginal(torch.tensor([[0.5]]).double(), 60, table)
    assert found["mean of x_t"] == pytest.approx(
        expected.mean.item(), abs=4 * table.sigma[60].item() / 1000**0.5
    )
    assert found["std of x_t"] == pytest.approx(table.sigma[60].item(), rel=0.1)
    assert run_code(explorer)["shown"].mean().item() == pytest.approx(found["mean of x_t"], abs=1e-3)
    explorer.schedule, explorer.seed = "linear", 3
    assert not explorer._error and "steps" in explorer.describe()
    assert len(explorer.to_fragment()) > 1000


@pytest.mark.parametrize("example", ["sampler"], indirect=True)
def test_the_sampler(example):
    table = schedules.cosine(100)
    generator = torch.Generator().manual_seed(0)
    x_T = samplers.p_sample_prior((2000, 2), table, generator)
    point = torch.tensor([[0.3, -0.7]])
    *_, last = example.renoise(
        Empirical(point).denoiser(table), x_T, timesteps=[100, 50, 0], generator=generator
    )
    assert last.calls == 2 and last.t == 0
    torch.testing.assert_close(last.x, point.expand(2000, 2), atol=1e-5, rtol=0)

    # On N(0, s² I) x̂_0 = gain · x_t with gain = signal s²/(signal² s² + sigma²), and so the variance is known
    s2, variance = 0.25, 1.0
    data = GaussianMixture(torch.zeros(1, 2), stds=[s2**0.5])
    for step in example.renoise(data.denoiser(table), x_T, timesteps=[100, 60, 20, 0], generator=generator):
        t = step.prediction.t
        signal2, sigma2 = table.signal[t].item() ** 2, table.sigma[t].item() ** 2
        variance *= signal2 * s2**2 / (signal2 * s2 + sigma2) ** 2  # of x̂_0
        variance = table.signal[step.t].item() ** 2 * variance + table.sigma[step.t].item() ** 2
        assert step.x.var().item() == pytest.approx(variance, rel=0.1)
    with pytest.raises(ValueError, match="timesteps"):
        list(example.renoise(data.denoiser(table), x_T, timesteps=[50, 100]))


@pytest.mark.parametrize("example", ["metric"], indirect=True)
def test_the_metric(example):
    a, b = torch.zeros(5, 2), torch.tensor([[3.0, 4.0]]).repeat(7, 1)
    assert example.energy_distance(a, b) == pytest.approx(10.0)  # 2 · 5 − 0 − 0
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(2000, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    assert example.energy_distance(x, y) == pytest.approx(0, abs=0.01)
    # E|x − y − 1| of two N(0, 1) is that of N(1, 2): known in closed form
    normal = torch.distributions.Normal(0.0, 1.0)
    far = 2 / torch.pi**0.5 * torch.exp(torch.tensor(-0.25)) + (1 - 2 * normal.cdf(torch.tensor(-(0.5**0.5))))
    expected = 2 * far.item() - 4 / torch.pi**0.5
    assert example.energy_distance(x, y + 1) == pytest.approx(expected, abs=0.1)  # three standard errors
    with pytest.raises(ValueError, match="b must"):
        example.energy_distance(x, torch.tensor([[float("nan")], [0.0]]))


@pytest.mark.parametrize("example", ["exercise"], indirect=True)
def test_the_exercise(example):
    exercise, (mistake,) = example.EXERCISE, example.EXERCISE.mistakes
    assert judge(exercise, lambda t, schedule: schedule.alpha_bar[t]).passed
    report = judge(exercise, lambda t, schedule: schedule.alpha_bar[t].sqrt())
    assert report.mistake == mistake.name and mistake.look in report.message


@pytest.mark.slow
def test_the_notebook(tmp_path):
    """It runs, is stored clean, and strict nbval finds in it what was stored."""
    make = {"python": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    notebook = nbformat.v4.new_notebook(cells=[make[kind](text.strip()) for kind, text in blocks("notebook")])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    assert len(notebook.cells) == 3
    path = tmp_path / "42_example.ipynb"
    nbformat.write(notebook, path)
    for command in (
        [ROOT / "tests" / "nbtools.py", path],
        [
            "-m",
            "pytest",
            "-p",
            "tests.nbtools",
            "--nbval",
            "--nbval-current-env",
            "-c",
            ROOT / "pyproject.toml",
            path,
        ],
    ):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "narrowest 1.000, widest 1.000" in path.read_text("utf-8")
