"""A training step on latents beside one on pixels: processor time, side by side.

    python benchmarks/latent_step.py

Both networks have half a million weights. The two take turns, so that a busy machine slows both down, and
what is compared is the shortest time of each. One thread.
"""

import torch

from diffusion_lab.experiments.latent_networks import SPACES, activation_bytes, multiply_adds, seconds_a_step

TURNS, BATCH = 5, 64


def main():
    torch.set_num_threads(1)
    times = {space: [] for space in SPACES}
    for _ in range(TURNS):
        for space in SPACES:
            times[space].append(seconds_a_step(space, BATCH, repeats=3))
    for space, found in times.items():
        work, kept = multiply_adds(space) / 1e6, activation_bytes(space) / 1e6
        print(
            f"{space:8s} {min(found) * 1000:6.0f} ms a step; for a picture {work:5.1f} million multiply-adds"
        )
        print(f"{'':8s} and {kept:.2f} MB kept for the backward pass")
    print(f"pixels / latents: {min(times['pixels']) / min(times['latents']):.1f} times the time")


if __name__ == "__main__":
    main()
