"""Computes what the explorers ship: python -m diffusion_lab.experiments.precompute

Results that never change but take seconds to compute are stored in pretrained/explorers.safetensors.gz. They
come from the same functions that an explorer would call. Run this again after a change of the weights or of a
sampler.
"""

import gzip
import itertools

import safetensors.torch
import torch

from ..checkpoints import write_atomically
from . import elbo_errors, guided, race, sde_flow, spoilt_digits, strokes, super_resolved
from .stored import SHIPPED


def parts() -> dict:
    """name (for `stored.shipped`) -> the function that computes its tensors, and its arguments."""
    found: dict[str, tuple] = {f"ode.{name}": (sde_flow.solved, name) for name in sde_flow.SDES}
    found |= {f"race.{source}": (race.raced, source) for source in race.EXACT}
    for pair in itertools.product(elbo_errors.SOURCES, elbo_errors.DENOISERS):
        found[".".join(("errors", *pair))] = (elbo_errors.measured, *pair)
    found |= {f"guidance.digit {label}": (guided.drawn, label, 0) for label in range(10)}
    found |= {
        f"super-resolution.{method}": (super_resolved.drawn, method) for method in super_resolved.EXPLORED
    }
    return found | {"usual": (usual,), "edited.digits": (strokes.of_real_digits,)}


def usual() -> dict[str, torch.Tensor]:
    """The usual metrics of real digits, for each number of digits per class."""
    return {str(N // 10): spoilt_digits.of_divisions(N // 10) for N in spoilt_digits.SIZES}


def main() -> None:
    """Compute everything and store it."""
    tensors = {}
    for name, (compute, *told) in parts().items():
        tensors |= {f"{name}.{key}": value.contiguous() for key, value in compute(*told).items()}
    write_atomically(SHIPPED, gzip.compress(safetensors.torch.save(tensors), mtime=0))
    print(f"{SHIPPED.name}: {SHIPPED.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so that sums always have the same order
    main()
