"""Computes what the explorers ship: python -m diffusion_lab.explorers.precompute

What is always the same, and would let a student wait for seconds, is stored in
pretrained/explorers.safetensors.gz by the functions that would compute it then and there. With other weights,
or another sampler, run it again.
"""

import gzip
import itertools

import safetensors.torch
import torch

from ..checkpoints import write_atomically
from . import elbo_terms, guidance, sample_metrics, sampler_race, sde_and_ode
from .core import SHIPPED


def parts() -> dict:
    """name, as `core.shipped` reads it -> the function that computes its tensors, and its arguments."""
    found = {f"ode.{name}": (sde_and_ode.solved, name) for name in sde_and_ode.SDES}
    found |= {f"race.{source}": (sampler_race.raced, source) for source in sampler_race.EXACT}
    for pair in itertools.product(elbo_terms.NAMES, ("exact", "learned")):
        found[".".join(("errors", *pair))] = (elbo_terms.measured, *pair)
    found |= {f"guidance.digit {label}": (guidance.drawn, label, 0) for label in range(10)}
    return found | {"usual": (usual,)}


def usual() -> dict:
    """What is usual for real digits, for each N."""
    sizes = [int(N) // 10 for N in sample_metrics.SampleMetrics.controls["N"].values]
    return {str(n): sample_metrics.of_divisions(n) for n in sizes}


def main() -> None:
    """Compute everything, and store it."""
    tensors = {}
    for name, (compute, *told) in parts().items():
        tensors |= {f"{name}.{key}": value.contiguous() for key, value in compute(*told).items()}
    write_atomically(SHIPPED, gzip.compress(safetensors.torch.save(tensors), mtime=0))
    print(f"{SHIPPED.name}: {SHIPPED.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so that sums are taken in one order
    main()
