"""Does it help a classifier of digits to add synthetic ones? python -m diffusion_lab.experiments.augmented

A classifier gets 5, 10, 20 or 50 labelled digits of each class, and more pictures from one of several
sources (`extras`). First, what can be chosen is chosen: on 288 training digits that nothing else here sees,
for five draws of ten digits a class (``pretrained/digits.augmented_choices.csv``). Then all sources are
compared on the test digits, for ten other draws of the labelled digits (``pretrained/digits.augmented.csv``).
It takes some 17 minutes of one core, and goes on where it was stopped.
"""

import functools
from collections.abc import Iterator

import safetensors.torch
import torch
from tqdm import tqdm

from ..checkpoints import read_safetensors, write_atomically
from ..features import accuracy
from ..pretrained import FOLDER
from ..tables import read_table, write_table
from .few_digits import (
    Labelled,
    chosen_on,
    classifier,
    diffusion,
    drawn_digits,
    first_of_each,
    gaussian_digits,
    labelled,
    pseudo_labelled,
    taught,
)
from .stored import digits

FILE, CHOSEN = FOLDER / "digits.augmented.csv", FOLDER / "digits.augmented_choices.csv"
PICTURES, FORMAT, SHOWN = FOLDER / "digits.augmented.safetensors", "diffusion_lab augmented 1", 100
COMMAND = "python -m diffusion_lab.experiments.augmented"
PER_CLASS, SEEDS = (5, 10, 20, 50), range(10)
RATIO, RATIOS, SWEPT = 4, (1, 4, 16), 10  # the ratio everywhere; all ratios, for this many digits a class
SOURCES = ("Gaussians", "diffusion", "taught")
STRONG, SHORT = 4.0, 50  # a guidance, and steps of training: two ways to make synthetic digits worse
SHRINKAGES, GUIDANCES, SHARES = (0.1, 0.3, 0.6), (0.5, 1.0, 2.0, 4.0, 8.0), (0.25, 0.5, 0.75)
CHOICE_N, CHOICE_SEEDS = 10, range(100, 105)  # no labelled digits of the comparison
T_95 = 2.262  # Student's t: 95 % of ten draws lie within so many standard errors


# ------------------------------------------------------------------------------------ choosing
def choices() -> list[dict]:
    """The stored rows: source, what, value, seed, accuracy on the digits for choosing."""
    return read_table(CHOSEN)


def tried(source: str, what: str, rows: list[dict] | None = None) -> dict[float, float]:
    """value -> mean accuracy over the draws, of what was tried for a source."""
    found: dict[float, list[float]] = {}
    for row in choices() if rows is None else rows:
        if (row["source"], row["what"]) == (source, what):
            found.setdefault(float(row["value"]), []).append(row["accuracy"])
    return {value: sum(each) / len(each) for value, each in found.items()}


def chosen(source: str, what: str, rows: list[dict] | None = None) -> float:
    """The value with the highest mean accuracy."""
    means = tried(source, what, rows)
    return max(means, key=lambda value: means[value])


def candidates(source: str, seed: int) -> Iterator[tuple[float, Labelled]]:
    """(shrinkage or guidance, synthetic digits made with it) of a source, for choosing."""
    real, per_class = labelled(CHOICE_N, seed), CHOICE_N * RATIO
    if source == "Gaussians":
        for value in SHRINKAGES:
            yield value, gaussian_digits(real, per_class, seed, value)
        return
    model = {"diffusion": diffusion, "taught": taught}[source](real, seed)
    for value in GUIDANCES:
        yield value, drawn_digits(model, per_class, seed, value)


def choose() -> list[dict]:
    """Try every shrinkage and guidance, and, with the best of them, every share of the batch."""
    rows = choices()
    if not tried("none", "nothing", rows):  # what all of them are to be compared with
        for seed in CHOICE_SEEDS:
            right = accuracy(classifier(labelled(CHOICE_N, seed), None, seed), *chosen_on())
            rows.append(dict(source="none", what="nothing", value=0, seed=seed, accuracy=round(right, 4)))
        write_table(CHOSEN, rows, COMMAND)
    for source in SOURCES:
        what = "shrinkage" if source == "Gaussians" else "guidance"
        done = [row for row in rows if row["source"] == source]
        if {row["what"] for row in done} == {what, "share"}:
            continue
        rows, made = [row for row in rows if row["source"] != source], {}
        for seed in tqdm(CHOICE_SEEDS, desc=source):
            real = labelled(CHOICE_N, seed)
            for value, extra in candidates(source, seed):
                made[value, seed] = extra
                right = accuracy(classifier(real, extra, seed), *chosen_on())
                rows.append(dict(source=source, what=what, value=value, seed=seed, accuracy=round(right, 4)))
        best = chosen(source, what, rows)
        for seed in CHOICE_SEEDS:
            for share in SHARES:
                net = classifier(labelled(CHOICE_N, seed), made[best, seed], seed, share=share)
                right = round(accuracy(net, *chosen_on()), 4)
                rows.append(dict(source=source, what="share", value=share, seed=seed, accuracy=right))
        write_table(CHOSEN, rows, COMMAND)
    return rows


# ------------------------------------------------------------------------------------ comparing
def ratios(n: int) -> tuple[int, ...]:
    """How many synthetic pictures there are for each real one."""
    return RATIOS if n == SWEPT else (RATIO,)


def extras(n: int, seed: int) -> Iterator[tuple[str, Labelled]]:
    """(source, pictures): what is put beside n labelled digits of each class."""
    real, most, usual = labelled(n, seed), n * ratios(n)[-1], n * RATIO
    yield "Gaussians", gaussian_digits(real, most, seed, chosen("Gaussians", "shrinkage"))
    model = diffusion(real, seed)
    yield "diffusion", drawn_digits(model, most, seed, chosen("diffusion", "guidance"))
    yield "diffusion, strong guidance", drawn_digits(model, usual, seed, STRONG)
    yield "diffusion, short training", drawn_digits(diffusion(real, seed, SHORT), usual, seed)
    model = taught(real, seed)
    yield "taught", drawn_digits(model, most, seed, chosen("taught", "guidance"))
    yield "taught, strong guidance", drawn_digits(model, usual, seed, STRONG)


def compared(n: int, seed: int) -> Iterator[tuple[str, bool, int, float]]:
    """(source, distorted, ratio, accuracy on the test digits) of every classifier for n digits and a draw."""
    real, test = labelled(n, seed), digits("test")
    for distorted in (False, True):
        net = classifier(real, None, seed, distorted)
        yield "none", distorted, 0, accuracy(net, *test)
        again = classifier(real, pseudo_labelled(net), seed, distorted)
        yield "pseudo-labels", distorted, 0, accuracy(again, *test)
    for source, every in extras(n, seed):
        share = chosen(source.split(",")[0], "share")
        for ratio in ratios(n) if source in SOURCES else (RATIO,):
            net = classifier(real, first_of_each(every, n * ratio), seed, share=share)
            yield source, False, ratio, accuracy(net, *test)
        if source in SOURCES:
            net = classifier(real, first_of_each(every, n * RATIO), seed, True, share=share)
            yield source, True, RATIO, accuracy(net, *test)


@functools.cache
def table() -> list[dict]:
    """The stored rows: n, seed, source, distorted (0 or 1), ratio, accuracy."""
    return read_table(FILE)


def accuracies(n: int, source: str, ratio: int = 0, distorted: bool = False) -> torch.Tensor:
    """The accuracies of one arm over the ten draws, [10]. Raises ValueError for an arm that is not stored."""
    arm = (n, source, ratio, int(distorted))
    rows = [r for r in table() if (r["n"], r["source"], r["ratio"], r["distorted"]) == arm]
    if not rows:
        raise ValueError(f"n, source, ratio and distorted must be those of a row; got {arm}")
    rows.sort(key=lambda row: row["seed"])
    return torch.tensor([row["accuracy"] for row in rows], dtype=torch.float64)


def interval(values: torch.Tensor) -> tuple[float, float]:
    """(mean, half width of its 95 % interval by Student's t) over ten draws of the labelled digits.

    For a difference of two arms give their differences draw by draw: what the arms have in common drops out.
    """
    return values.mean().item(), (T_95 * values.std() / len(values) ** 0.5).item()


def save_pictures() -> None:
    """Store the first hundred pictures of each source, for ten digits a class and the first draw: uint8."""
    real = labelled(SWEPT, 0)
    every = {"real": (real[0][torch.arange(SHOWN).reshape(10, -1).T.flatten()], None)}  # 0…9, over and over
    every |= dict(extras(SWEPT, 0))
    every["taught, w = 1"] = drawn_digits(taught(real, 0), SHOWN // 10, 0)
    kept = {name: ((x[:SHOWN] + 1) * 127.5).round().byte() for name, (x, _) in every.items()}
    write_atomically(PICTURES, safetensors.torch.save(kept, {"format": FORMAT, "made_by": COMMAND}))


def pictures() -> dict[str, torch.Tensor]:
    """source -> a hundred pictures of the classes 0…9, over and over: [100, 1, 8, 8] in [−1, 1]."""
    return {name: x.float() / 127.5 - 1 for name, x in read_safetensors(PICTURES, FORMAT)[0].items()}


def main() -> None:
    """Choose, and compare what is not in the table yet; all of it, if the table is whole."""
    rows, cells = read_table(FILE), [(n, seed) for seed in SEEDS for n in PER_CLASS]
    done = {(row["n"], row["seed"]) for row in rows}
    if done >= set(cells):  # whole: begin anew
        rows, done = [], set()
        CHOSEN.unlink(missing_ok=True)
    choose()
    for n, seed in tqdm(cells):
        if (n, seed) not in done:
            for source, distorted, ratio, right in compared(n, seed):
                row = dict(n=n, seed=seed, source=source, distorted=int(distorted), ratio=ratio)
                rows.append(row | dict(accuracy=round(right, 4)))
            write_table(FILE, rows, COMMAND)
    save_pictures()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
