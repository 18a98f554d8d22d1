"""What do a call and a training step of a U-Net and of a DiT cost? python benchmarks/cost.py

Three networks with as many weights each, on pictures of 8×8 to 48×48, in batches of 1, 4 and 16, in float32
and bfloat16, with and without checkpointing: seconds of one core, and the bytes at the peak. Processor time
counts, the shortest of several runs, so that other programs on the machine disturb it little. The table is
kept in pretrained/cost.csv, and notebook 25 and the explorer Bill read it. Some five minutes; stopped, it
goes on where it was, and on another machine or with another torch it begins anew.
"""

import csv
import io
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from diffusion_lab.applications.cost import Allocated, checkpointed
from diffusion_lab.checkpoints import write_atomically
from diffusion_lab.experiments import cost
from diffusion_lab.experiments.cost import BATCH, COLUMNS, FILE, NETWORKS, PRECISIONS, SIZES, WIDE
from diffusion_lab.weights import drawn

Cell = tuple[str, int, int, int, str, str, str]  # COLUMNS without what is measured
LEAST, MOST = 1.0, 25  # seconds of measuring, and runs
# To the C library of Linux: keep what is freed, however much, and never ask the system for single arrays
KEEP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**33)}


def cells() -> Iterator[Cell]:
    """network, size, width, batch, run, precision, use."""
    for network in NETWORKS:
        width = WIDE[network.split(",")[0]]
        for size in SIZES:
            use = "fit" if size in (8, 16, 32) else "test"
            for run in ("call", "step"):
                for precision in PRECISIONS:
                    yield network, size, width, BATCH, run, precision, use
            yield network, size, width, BATCH, "checkpointed", "fp32", use
        for run in ("call", "step"):
            for batch in (1, 16):
                yield network, 16, width, batch, run, "fp32", "fit"
                yield network, 32, width, batch, run, "fp32", "test"
            for size in (16, 32):
                yield network, size, width // 2, BATCH, run, "fp32", "fit" if size == 16 else "test"
    # the weights of its attention are arrays of 67 MB: more than the C library keeps ready for the next one
    for use in ("beyond", "kept ready"):
        yield "DiT, patch 2", 64, WIDE["DiT"], BATCH, "step", "fp32", use


def shortest(run: Callable[[], None]) -> float:
    """Processor seconds of the shortest of some runs, after one to warm up."""
    run()
    found: list[float] = []
    while len(found) < 3 or (sum(found) < LEAST and len(found) < MOST):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


def measure(network: str, size: int, width: int, batch: int, run: str, precision: str) -> tuple[float, int]:
    """(seconds, bytes at the peak) of one cell."""
    generator = torch.Generator().manual_seed(0)
    x, t = (
        torch.randn(batch, 3, size, size, generator=generator),
        1000 * torch.rand(batch, generator=generator),
    )

    def start() -> Callable[[], None]:
        net = drawn(lambda: cost.make(network, size, width), generator)
        for weight in net.parameters():  # no zeros: they could be faster than other numbers
            torch.nn.init.normal_(weight, std=0.02, generator=generator)
        if run == "call":
            net.requires_grad_(False)
        average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.999)) if run != "call" else None
        net = checkpointed(net) if run == "checkpointed" else net
        optimizer = torch.optim.AdamW(net.parameters(), fused=True) if run != "call" else None

        def once() -> None:
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                value = net(x, t)
            if optimizer is None or average is None:
                return
            loss = (value.float() - x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.update_parameters(net)

        return once

    with Allocated() as memory:
        once = start()
        once()
        once()
    del once
    return shortest(start()), memory.peak


def processor() -> str:
    """The name of the processor, as the system gives it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def in_a_process_of_its_own(cell: Cell) -> tuple[float, int]:
    """`measure`, where the C library keeps memory of any size ready."""
    command = [sys.executable, __file__, *map(str, cell[:6])]
    told = subprocess.run(command, env=os.environ | KEEP, check=True, capture_output=True, text=True)
    seconds, peak = json.loads(told.stdout)
    return seconds, peak


def save(head: str, rows: dict[Cell, tuple[float, int]]) -> None:
    """Writes what is measured so far, in the order of `cells`."""
    text = io.StringIO()
    text.write(head + "\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for cell in cells():
        if cell in rows:
            seconds, peak = rows[cell]
            writer.writerow([*cell, f"{seconds:.4g}", peak])
    write_atomically(FILE, text.getvalue().encode())


def main() -> None:
    head = f"# python benchmarks/cost.py: one core, {processor()}, torch {torch.__version__}"
    same = FILE.exists() and FILE.read_text("utf-8").startswith(head + "\n")
    rows: dict[Cell, tuple[float, int]] = {}
    for r in cost.table() if same else []:
        cell = (r.network, r.size, r.width, r.batch, r.run, r.precision, r.use)
        rows[cell] = (r.seconds, r.peak)
    for cell in tqdm([cell for cell in cells() if cell not in rows], unit="cell"):
        rows[cell] = in_a_process_of_its_own(cell) if cell[-1] == "kept ready" else measure(*cell[:6])
        save(head, rows)
    cost.table.cache_clear()
    for use in ("fit", "test", "beyond", "kept ready"):
        off = sorted(abs(error) for error in cost.errors(use).values())
        print(f"{use}: {len(off)} rows, off by {off[len(off) // 2]:.1%} in the middle, {off[-1]:.1%} at most")


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) == 7:
        network, size, width, batch, run, precision = sys.argv[1:]
        print(json.dumps(measure(network, int(size), int(width), int(batch), run, precision)))
    else:
        main()
