"""What explorers ship computed is what their functions compute; and what they read is quick to read."""

import subprocess
import sys

import pytest
import torch

from diffusion_lab.experiments import precompute
from diffusion_lab.experiments.stored import _shipped, shipped

PARTS = precompute.parts()


def test_every_part_is_there_and_nothing_else():
    assert {key.rpartition(".")[0] for key in _shipped()} == set(PARTS) | {
        f"race.{source}.{spacing}.{sampler}"
        for source in ("Gaussian", "mixture")
        for spacing in ("trailing", "log_snr", "karras")
        for sampler in ("ddim", "heun", "dpm_solver_pp_2m")
    }


@pytest.mark.parametrize(
    "name", ["ode.straight", "errors.mixture.exact", "errors.mixture.learned", "guidance.digit 3", "usual"]
)
def test_computed_anew_it_is_the_same(name):
    compute, *told = PARTS[name]
    kept = shipped(name)
    for key, value in compute(*told).items():
        assert value.dtype == kept[key].dtype and value.shape == kept[key].shape
        # a solver on another machine may take another step; a pixel may round to the next grey
        tolerance = 2 if name.startswith("guidance") and key == "pictures" else 2e-3
        off = (value.double() - kept[key].double()).abs()
        assert (off <= tolerance * (1 + kept[key].double().abs())).double().mean() > 0.999, key


def test_the_digits_come_without_importing_scikit_learn():
    code = "import sys; from diffusion_lab import data; data.digits(); print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_nothing_that_is_read_draws():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    _shipped.cache_clear()
    assert shipped("usual")["20"].shape == (20, 6)
    assert torch.equal(torch.get_rng_state(), state)
