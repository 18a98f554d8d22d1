"""How fast is the ideal denoiser? python benchmarks/ideal_denoiser.py [N] [D] [BATCH]

`exact.Empirical(data).denoiser(schedule)` beside what it cannot do without: its two matrix products, bare and
in float64, on 60 000 examples of 784 numbers in float32. Once the bare ones convert the data to float64 as
well, as data that is kept in float32 asks for; once they find it converted. The three take turns, with the
threads that torch has (OMP_NUM_THREADS), and what counts is processor time, which other work on the machine
disturbs least.

Prints the medians and the ratios, the most memory that the process needed until the denoiser had answered,
and how far x̂_0 is from the softmax of summed squared differences in float64, for data in float32 and in
float64.
"""

import platform
import sys
import time
from pathlib import Path
from statistics import median

import torch

from diffusion_lab.exact import Empirical
from diffusion_lab.forward import q_sample
from diffusion_lab.schedules import linear

ROUNDS = 9


def peak() -> float:
    """The most memory this process has held so far, in GB; NaN where there is no /proc."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024e-9 for line in lines if line.startswith("VmHWM")), float("nan"))


def reference(x_t, y, signal, sigma) -> torch.Tensor:
    """Σ_n softmax_n(−‖x_t − signal y_n‖²/(2 sigma²)) y_n in float64, one x_t at a time."""
    y, guesses = y.double(), []
    for x in x_t.double():
        squares = torch.cat([(x - signal * part).square().sum(1) for part in y.split(1000)])
        guesses.append((-squares / (2 * sigma**2)).softmax(0) @ y)
    return torch.stack(guesses)


def error(data, schedule, x_t, t: int) -> float:
    """The largest difference between the denoiser's x̂_0 and the reference."""
    signal, sigma = (table[t].to(x_t.dtype).double() for table in (schedule.signal, schedule.sigma))
    guess = Empirical(data).denoiser(schedule)(x_t, t).x0
    return (guess.double() - reference(x_t, data, signal, sigma)).abs().max().item()


def main(N: int = 60_000, D: int = 784, batch: int = 64) -> dict[str, float]:
    """Prints the table; returns seconds, memory in GB, and the errors by dtype."""
    schedule, generator = linear(), torch.Generator().manual_seed(0)
    data = torch.empty(N, D).uniform_(-1, 1, generator=generator)
    x_t, denoise = (
        q_sample(data[:batch], 200, schedule, generator=generator),
        Empirical(data).denoiser(schedule),
    )
    denoise(x_t, 200)
    found = {"memory": peak()}

    x, wide = x_t.double(), data.double()
    runs = {
        "denoiser": lambda: denoise(x_t, 200),
        "products, converting": lambda: x @ (y := data.double()).mT @ y,
        "products": lambda: x @ wide.mT @ wide,
    }
    seconds = {name: [] for name in runs}
    for i in range(ROUNDS + 1):
        for name, run in runs.items():
            start = time.process_time()
            run()
            if i:  # the first round is to warm up
                seconds[name].append(time.process_time() - start)
    found |= {name: median(times) for name, times in seconds.items()}
    for dtype in (torch.float32, torch.float64):
        some = data.to(dtype)[: N // 4]  # enough for several pieces
        few = [(q_sample(some[:4], t, schedule, generator=generator), t) for t in (1, 200, 600, 1000)]
        found[f"error, {dtype}"] = max(error(some, schedule, x, t) for x, t in few)

    print(f"{N} × {D}, batch {batch}; torch {torch.__version__}, {torch.get_num_threads()} threads,", end=" ")
    print(f"{platform.processor() or platform.machine()}; medians of {ROUNDS}, seconds of processor time")
    for name in runs:
        speed = found[name] / found["denoiser"]
        print(f"  {name:22}{found[name]:8.3f}   the denoiser has {speed:4.0%} of its speed")
    print(f"  at most {found['memory']:.2f} GB, data and torch included")
    for name in ("error, torch.float32", "error, torch.float64"):
        print(f"  {name}: {found[name]:.1e}")
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
