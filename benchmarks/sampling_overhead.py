"""How much of a sampling run is spent outside the network: 50 steps on the digits, batches of 8 and 128.

The network's forward passes are timed inside the very runs whose whole length is measured, so that a busy
machine slows both alike. The aim, for DDIM: a share of at most 5 %.
"""

import statistics
import time

import torch

from diffusion_lab import pretrained, samplers


def outside(sampler, batch: int, steps: int = 50) -> tuple[float, float]:
    """(the share of a run's time outside the network, milliseconds of a forward pass)."""
    model, seconds = pretrained.load("digits"), 0.0
    forward = model.net.forward

    def timed(*arguments):
        nonlocal seconds
        start = time.perf_counter()
        value = forward(*arguments)
        seconds += time.perf_counter() - start
        return value

    model.net.forward = timed  # in place: a network around it would add a call of its own
    times = samplers.timesteps(model.schedule, steps)
    x_T = samplers.p_sample_prior((batch, *model.shape), model.schedule, torch.Generator().manual_seed(0))
    start = time.perf_counter()
    *_, last = sampler(model, x_T, timesteps=times, generator=torch.Generator().manual_seed(0))
    return 1 - seconds / (time.perf_counter() - start), 1000 * seconds / last.calls


if __name__ == "__main__":
    print(f"{torch.get_num_threads()} threads; the median of 15 runs of 50 steps")
    print("sampler               batch  outside the network  forward pass")
    for sampler in samplers.SAMPLERS.values():
        for batch in (8, 128):
            runs = [outside(sampler, batch) for _ in range(16)][1:]
            share, ms = (statistics.median(column) for column in zip(*runs, strict=True))
            print(f"{sampler.__name__:20}  {batch:5}  {share:19.1%}  {ms:9.2f} ms")
