"""How much of a sampling run is spent outside the network: 50 steps on the digits, batches of 8 and 128.

The network's forward passes are timed inside the very runs whose whole length is measured, so that a busy
machine slows both alike. The aim is a share below 5 %; at batch 8 it is not reached yet.
"""

import statistics
import time

import torch

from diffusion_lab import pretrained, samplers


class Timed(torch.nn.Module):
    """A network that adds up the seconds it takes."""

    def __init__(self, net):
        super().__init__()
        self.net, self.seconds = net, 0.0
        self.num_classes, self.shape = net.num_classes, net.shape

    def forward(self, *arguments):
        start = time.perf_counter()
        value = self.net(*arguments)
        self.seconds += time.perf_counter() - start
        return value


def outside(sampler, batch: int, steps: int = 50) -> tuple[float, float]:
    """(the share of a run's time outside the network, milliseconds of a forward pass)."""
    model = pretrained.load("digits")
    model.net = Timed(model.net)
    times = samplers.timesteps(model.schedule, steps)
    x_T = samplers.p_sample_prior((batch, *model.net.shape), model.schedule, torch.Generator().manual_seed(0))
    model.net.seconds, start = 0.0, time.perf_counter()
    *_, last = sampler(model, x_T, timesteps=times, generator=torch.Generator().manual_seed(0))
    return 1 - model.net.seconds / (time.perf_counter() - start), 1000 * model.net.seconds / last.calls


if __name__ == "__main__":
    print(f"{torch.get_num_threads()} threads; the median of 15 runs of 50 steps")
    print("sampler               batch  outside the network  forward pass")
    for sampler in samplers.SAMPLERS.values():
        for batch in (8, 128):
            runs = [outside(sampler, batch) for _ in range(16)][1:]
            share, ms = (statistics.median(column) for column in zip(*runs, strict=True))
            print(f"{sampler.__name__:20}  {batch:5}  {share:19.1%}  {ms:9.2f} ms")
