"""The ELBO as a whole: the total of its terms for each T, and which variance and denoiser make it smaller."""

from ..drawing import GREY, PALETTE, axis, columns, curve, dots, key, layout, note, panel
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing, text
from ..experiments.bound import CHOICES, STEPS, Bound, bound, places, warns
from ..experiments.elbo_errors import DENOISERS, EXACT, SOURCES, entropy

COLORS = [PALETTE["blue"], PALETTE["orange"], PALETTE["green"]]  # chosen, other variance, other denoiser
OTHER = dict(small="large", large="small", exact="learned", learned="exact")


class ElboTotals(Explorer):
    """The main slider is T.

    Numbers: L_T, the sum Σ L_{t−1} over the steps, and L_0; the total, which is the sum of these; the total
    with the other variance and with the other denoiser; where it is known, the entropy of the data: no bound
    can lie below it. All in bits/dim.
    """

    title = "The ELBO: what its terms add up to"
    portable = ("source", "denoiser", "variance", "schedule")
    source = Choice("mixture", SOURCES, label="data")
    denoiser = Choice("exact", DENOISERS)
    variance = Choice("small", ["small", "large"])
    schedule = Choice("cosine", CHOICES)
    T = Slider(50, STEPS[0], STEPS[-1], main=True)

    def scene(self, *, source: str, denoiser: str, variance: str, schedule: str) -> Scene:
        chosen = (denoiser, variance), (denoiser, OTHER[variance]), (OTHER[denoiser], variance)
        told = {
            f"{EXACT[source] if who == 'exact' else 'network'}, {var}": (source, who, var, schedule)
            for who, var in chosen
        }
        bounds = {T: {name: bound(*each, T) for name, each in told.items()} for T in STEPS}
        known = {"entropy of the data": entropy()} if source == "mixture" else {}
        first = next(iter(told))
        cheapest = min(STEPS, key=lambda T: bounds[T][first].total)
        values = dict(source=source, denoiser=denoiser, variance=variance, schedule=schedule)
        frames = [
            Frame(
                T,
                changes=mark(T, now),
                numbers=count(now) | known,
                sentence=says(now, known, "this T" if T == cheapest else f"T = {cheapest}"),
                warning=warns(schedule, T, now[first].prior),
                code=listing(bound, "prior + terms.sum()", **values, T=T),
                alt=describe(T, now, known),
            )
            for T, now in bounds.items()
        ]
        totals = {name: [now[name].total for now in bounds.values()] for name in told}
        paid = [each.paid[1:] for now in bounds.values() for each in now.values()]
        return Scene(traces(totals, known), axes(totals, paid, known), frames, digits=3)


def traces(totals: dict, known: dict) -> dict:
    """The sums down to t, and the total over T (thick lines: the choice made); the entropy; marks at T."""
    drawn = {}
    for (name, y), color, width in zip(totals.items(), COLORS, (4, 1.5, 1.5), strict=True):
        drawn[f"paid, {name}"] = curve(color, width)
        drawn[f"total, {name}"] = curve(color, width, 2, x=STEPS, y=y, mode="lines+markers")
    for level in known.values():
        for n in (1, 2):
            drawn[f"entropy {n}"] = curve(GREY, 1.5, n, "dash", x=[0.1, 5000], y=[level, level])
    return drawn | {"L_0 is paid": dots(COLORS), "totals at T": dots(COLORS, 2)}


def mark(T: int, now: dict[str, Bound]) -> dict:
    """The sums at this T, and dots where they end: at t = 1, where L_0 is added."""
    times, totals = places(T), [each.total for each in now.values()]
    sums = {f"paid, {name}": {"x": times, "y": each.paid[times]} for name, each in now.items()}
    ends = {"L_0 is paid": {"x": [1] * 3, "y": totals}, "totals at T": {"x": [T] * 3, "y": totals}}
    return sums | ends


def axes(totals: dict, paid: list, known: dict) -> dict:
    """Two panels, and over them the one key."""
    left, right = columns(1, 1, gap=0.1)
    log_t = axis("t (log scale)", log=True, range=[-0.1, 3.1])
    log_T = axis("T (log scale)", type="log", tickvals=STEPS, range=[1.32, 3.08])
    bits, levels = "bits/dim", [*known.values()]
    lines = key(dict(zip(totals, COLORS, strict=True)) | ({"entropy (dashed)": GREY} if known else {}))
    summed = panel(1, left, (0, 1), "paid from T down to t", log_t, axis(bits, *paid, levels, nticks=7))
    ends = panel(2, right, (0, 1), "total, for each T", log_T, axis(bits, *totals.values(), levels, nticks=7))
    summed["annotations"].append(note(lines, 0.5, 1, yanchor="bottom", yshift=26))
    return layout(summed, ends, height=370, margin=dict(l=56, r=12, t=52, b=40))


# ------------------------------------------------------------------------------------- words
def count(now: dict[str, Bound]) -> dict:
    """The numbers at one T."""
    (_, here), *others = now.items()
    row = {"L_T": here.prior, "Σ L_(t−1), steps 2…T": here.terms[2:].sum(), "L_0": here.terms[1]}
    row |= {"total (bits/dim)": here.total}
    return row | {f"total, {name}": each.total for name, each in others}


def says(now: dict[str, Bound], known: dict, cheapest: str) -> str:
    """What to see at one T: the total, the entropy, the totals of the others, and the T of the smallest."""
    (_, total), *others = [(name, each.total) for name, each in now.items()]
    pays = [f"{text(abs(total - t), 2)} {'less' if t > total else 'more'} than {name}" for name, t in others]
    above = "".join(f", {text(total - level, 2)} above the entropy" for level in known.values())
    said = f"The total is {text(total, 3)} bits/dim{above}. That is {' and '.join(pays)}."
    return f"{said} It is smallest at {cheapest}."


def describe(T: int, now: dict[str, Bound], known: dict) -> str:
    """The figure in words."""
    ends = ", ".join(f"{name} {each.total:.2f}" for name, each in now.items())
    level = "".join(f" The entropy, {level:.2f}, is dashed." for level in known.values())
    return (
        f"Left, for T = {T}, the sum of the terms from T down to t, over t. At t = 1 it is the total: "
        f"{ends}. Right, the totals over T.{level}"
    )
