"""The bill: time and memory of a call and of a training step, measured once, and a model that predicts them.

``python benchmarks/cost.py`` measures, on one core, and writes ``pretrained/cost.csv``; `table` reads it. The
model of time has three numbers for each kind of network::

    seconds = multiply-adds / rate + bytes / bandwidth + overhead

Products take time, moving numbers to and from memory takes time, and starting an operation takes time,
however small it is. The bytes are those of `applications.cost`. Some rows fit the three numbers, and the
others say whether they hold.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..applications import cost
from ..applications.dit import DiT
from ..checkpoints import FilePath
from ..pretrained import FOLDER
from ..tables import read_table
from ..unet import TinyUNet

FILE = FOLDER / "cost.csv"
NETWORKS = ("U-Net", "DiT, patch 4", "DiT, patch 2")
SIZES = (8, 16, 24, 32, 40, 48)
PRECISIONS = ("fp32", "bf16")
RUNS = {"call": 1, "step": 3, "checkpointed": 4}  # and how many forward passes that is worth
BATCH, WIDE = 4, {"U-Net": 32, "DiT": 128}  # in the rows that the explorer shows
COLUMNS = ("network", "size", "width", "batch", "run", "precision", "use", "seconds", "peak")


@dataclass(frozen=True)
class Row:
    """One measurement.

    :ivar run: "call", without gradients; "step", of training with AdamW and moving average; "checkpointed",
        such a step with each block computed twice
    :ivar use: "fit" or "test"; "beyond" for what the model is not meant for, and "kept ready" for the same
        where the C library keeps even the largest arrays ready
    :ivar seconds: of one core, the shortest of several
    :ivar peak: bytes at the peak, all that belongs to the weights included
    """

    network: str
    size: int
    width: int
    batch: int
    run: str
    precision: str
    use: str
    seconds: float
    peak: int

    @property
    def kind(self) -> tuple[str, str, str]:
        """What has its own three numbers: U-Net or DiT, run and precision."""
        return self.network.split(",")[0], self.run, self.precision


def make(network: str, size: int, width: int | None = None) -> TinyUNet | DiT:
    """One of NETWORKS for pictures [3, size, size]; without `width`, each has about 1.86 million weights.

    Raises ValueError for another name.
    """
    if network not in NETWORKS:
        raise ValueError(f"network must be one of {'; '.join(NETWORKS)}; got {network!r}")
    width = width or WIDE[network.split(",")[0]]
    if network == "U-Net":
        return TinyUNet(3, width=width, levels=3, image_size=size)
    return DiT(3, size, int(network[-1]), width, depth=6, heads=4)


@functools.cache
def shape_of(network: str, size: int, width: int | None = None) -> TinyUNet | DiT:
    """Such a network for counting only, without values."""
    return cost.on_meta(lambda: make(network, size, width))


def work(network: str, size: int, width: int, batch: int, run: str, precision: str) -> tuple[int, int]:
    """(multiply-adds, bytes) of one run, predicted. The bytes of a step are all that it takes at its peak.

    Those of a call are the weights, and what it computes on the way: it discards all that, but it must write
    and read it once.
    """
    net = shape_of(network, size, width)
    adds = RUNS[run] * batch * cost.predicted(net, size)
    if run == "call":
        return adds, 4 * cost.weights(net) + cost.kept(net, size, batch, precision)
    return adds, cost.training_memory(net, size, batch, precision)


def attention(network: str, size: int) -> int:
    """The multiply-adds of a call for one picture that grow with N²: those between pairs of places."""
    net = shape_of(network, size)
    parts = cost.of_dit(net) if isinstance(net, DiT) else cost.of_unet(net, size)
    return parts["attention"]


@functools.cache
def table(path: FilePath = FILE) -> list[Row]:
    """The stored measurements."""
    return [Row(**row) for row in read_table(path)]


def machine(path: FilePath = FILE) -> str:
    """What the table was measured on."""
    return Path(path).read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")


def measured(
    network: str,
    size: int,
    run: str = "call",
    precision: str = "fp32",
    batch: int = BATCH,
    width: int | None = None,
) -> Row:
    """The row of a network, of its usual width unless one is given. Raises ValueError if there is none."""
    asked = (network, size, run, precision, batch, width or WIDE[network.split(",")[0]])
    for row in table():
        if (row.network, row.size, row.run, row.precision, row.batch, row.width) == asked:
            return row
    raise ValueError(f"network, size, run, precision, batch and width must be those of a row; got {asked}")


# ------------------------------------------------------------------------------------ the model of time
@dataclass(frozen=True)
class Speed:
    """seconds = multiply-adds / rate + bytes / bandwidth + overhead; kept as three times, in seconds.

    :ivar each_add: for a multiply-add
    :ivar each_byte: for a byte
    :ivar overhead: for everything that does not grow
    """

    each_add: float
    each_byte: float
    overhead: float

    def seconds(self, adds: float, moved: float) -> float:
        """The time of one run."""
        return self.each_add * adds + self.each_byte * moved + self.overhead


def fit(adds: Tensor, moved: Tensor, seconds: Tensor) -> Speed:
    """The Speed with the smallest sum of squared *relative* errors, none of its three times below 0. All [n].

    Without the restriction, two columns that grow alike could be given a large time and its opposite. If one
    time comes out below 0, it is set to 0 and the others are fitted again.
    """
    columns = torch.stack([adds, moved, torch.ones_like(adds)], 1).double()
    relative, used = columns / seconds.double()[:, None], [0, 1, 2]
    scale = relative.square().mean(0).sqrt()  # so that all columns are of one size
    while True:
        asked = torch.linalg.lstsq(relative[:, used] / scale[used], torch.ones(len(seconds), 1).double())
        times = asked.solution[:, 0]
        if (times >= 0).all():
            break
        used.pop(int(times.argmin()))
    found = torch.zeros(3, dtype=torch.float64)
    found[used] = times / scale[used]
    return Speed(*found.tolist())


@functools.cache
def speed(network: str, run: str, precision: str = "fp32") -> Speed:
    """The three numbers of a "U-Net" or a "DiT", fitted to the rows that are meant for it."""
    rows = [row for row in table() if row.kind == (network, run, precision) and row.use == "fit"]
    done = torch.tensor([work(r.network, r.size, r.width, r.batch, r.run, r.precision) for r in rows])
    return fit(done[:, 0].double(), done[:, 1].double(), torch.tensor([r.seconds for r in rows]))


def predicted(
    network: str,
    size: int,
    run: str = "call",
    precision: str = "fp32",
    batch: int = BATCH,
    width: int | None = None,
) -> float:
    """The seconds of one run, by the model."""
    kind = network.split(",")[0]
    adds, moved = work(network, size, width or WIDE[kind], batch, run, precision)
    return speed(kind, run, precision).seconds(adds, moved)


def errors(use: str = "test") -> dict[Row, float]:
    """For each row: how far off the model is, predicted / measured − 1."""
    found = {}
    for r in table():
        if r.use == use:
            found[r] = predicted(r.network, r.size, r.run, r.precision, r.batch, r.width) / r.seconds - 1
    return found


def billed(network: str, size: int, precision: str, steps: int) -> tuple[int, float, float, int]:
    """What the model says: multiply-adds of a call for one picture; seconds of a picture drawn in `steps`
    steps, one of a batch of BATCH; seconds of a training step with such a batch; and its bytes at the peak.
    """
    adds = cost.predicted(shape_of(network, size), size)
    picture = steps * predicted(network, size, "call", precision) / BATCH
    training_step = predicted(network, size, "step", precision)
    memory = cost.training_memory(shape_of(network, size), size, BATCH, precision)
    return adds, picture, training_step, memory
