"""The ELBO as a whole: what all its steps add up to, for each T, and who pays less."""

from ..drawing import GREY, PALETTE, axis, columns, curve, dots, key, layout, note, panel
from ..engine import Choice, Explorer, Frame, Scene, Slider, listing, text
from ..experiments.bound import CHOICES, STEPS, Bound, bound, places
from ..experiments.elbo_errors import DENOISERS, SOURCES, entropy
from .elbo_terms import EXACT, warns

COLORS = [PALETTE["blue"], PALETTE["orange"], PALETTE["green"]]  # chosen, other variance, other denoiser
OTHER = dict(small="large", large="small", exact="learned", learned="exact")


class ElboTotals(Explorer):
    """The main slider is T.

    Numbers: L_T, the steps' Σ L_{t−1} and L_0, and the total, which is their sum; the total with the other
    variance and with the other denoiser; the entropy of the data where it is known, under which no bound can
    lie. All in bits/dim.
    """

    title = "The ELBO: what its terms add up to"
    portable = ("source", "denoiser", "variance", "schedule")
    source = Choice("mixture", SOURCES, label="data")
    denoiser = Choice("exact", DENOISERS)
    variance = Choice("small", ["small", "large"])
    schedule = Choice("cosine", CHOICES)
    T = Slider(50, STEPS[0], STEPS[-1], main=True)

    def scene(self, *, source, denoiser, variance, schedule):
        chosen = (denoiser, variance), (denoiser, OTHER[variance]), (OTHER[denoiser], variance)
        names = [f"{EXACT[source] if who == 'exact' else 'network'}, {var}" for who, var in chosen]
        told = [dict(source=source, denoiser=who, variance=var, schedule=schedule) for who, var in chosen]
        bounds = {T: dict(zip(names, (bound(**each, T=T) for each in told), strict=True)) for T in STEPS}
        floor = entropy() if source == "mixture" else None
        cheapest = min(STEPS, key=lambda T: bounds[T][names[0]].total)
        frames = [
            Frame(
                T,
                changes=mark(T, now),
                numbers=count(now, floor),
                sentence=says(T, now, floor, cheapest),
                warning=warns(now[names[0]], schedule, T),
                code=listing(bound, "prior + terms.sum()", **told[0], T=T),
                alt=describe(T, now, floor),
            )
            for T, now in bounds.items()
        ]
        return Scene(traces(bounds, names), axes(bounds, names, floor), frames, digits=3)


def traces(bounds: dict, names: list[str]) -> dict:
    """Of the chosen one (thick) and the others what is paid down to t, and the total over T; T's marks."""
    drawn = {}
    for name, color, width in zip(names, COLORS, (4, 1.5, 1.5), strict=True):
        totals = [now[name].total for now in bounds.values()]
        drawn[f"paid, {name}"] = curve(color, width)
        drawn[f"total, {name}"] = curve(color, width, 2, x=STEPS, y=totals, mode="lines+markers")
    return drawn | {"L_0 is paid": dots(COLORS), "totals at T": dots(COLORS, 2)}


def mark(T: int, now: dict[str, Bound]) -> dict:
    """The sums at this T, and dots where they end: once L_0 is paid, at t = 1."""
    times, totals = places(T), [each.total for each in now.values()]
    sums = {f"paid, {name}": {"x": times, "y": each.paid[times]} for name, each in now.items()}
    ends = {"L_0 is paid": {"x": [1] * 3, "y": totals}, "totals at T": {"x": [T] * 3, "y": totals}}
    return sums | ends


def axes(bounds: dict, names: list[str], floor: float | None) -> dict:
    """Two panels, both up to the same bits; the entropy, if known, is dashed in both."""
    left, right = columns(1, 1, gap=0.1)
    paid = [each.paid[1:] for now in bounds.values() for each in now.values()]
    bits = axis("bits/dim", *paid, [] if floor is None else [floor], nticks=7)
    log_t = axis("t (log scale)", log=True, range=[-0.1, 3.1])
    log_T = axis("T (log scale)", type="log", tickvals=STEPS, range=[1.32, 3.08])
    known = dict(zip(names, COLORS, strict=True))
    lines, shapes = key(known | ({} if floor is None else {"entropy (dashed)": GREY})), []
    if floor is not None:
        level = dict(type="line", x0=0, x1=1, y0=floor, y1=floor)
        level |= dict(line=dict(color=GREY, dash="dash", width=1.5))
        shapes = [level | dict(xref=f"{x} domain", yref=y) for x, y in (("x", "y"), ("x2", "y2"))]
    joined = layout(
        panel(1, left, (0, 1), "paid from T down to t", log_t, bits),
        panel(2, right, (0, 1), "total, for each T", log_T, bits),
        height=370,
        shapes=shapes,
        margin=dict(l=56, r=12, t=52, b=40),
    )
    joined["annotations"].append(note(lines, 0.5, 1, yanchor="bottom", yshift=26))
    return joined


# ------------------------------------------------------------------------------------- words
def count(now: dict[str, Bound], floor: float | None) -> dict:
    """The numbers at one T."""
    chosen, *others = now
    here = now[chosen]
    row = {"L_T": here.prior, "Σ L_(t−1), steps 2…T": here.terms[2:].sum(), "L_0": here.terms[1]}
    row |= {"total (bits/dim)": here.total} | {f"total, {name}": now[name].total for name in others}
    return row if floor is None else row | {"entropy of the data": floor}


def says(T: int, now: dict[str, Bound], floor: float | None, cheapest: int) -> str:
    """What to see at one T: how far above the entropy, what the others would pay, and which T is cheapest."""
    chosen, *others = now
    total = now[chosen].total
    apart = {name: now[name].total - total for name in others}
    pays = [f"{text(abs(d), 2)} {'less' if d > 0 else 'more'} than {name}" for name, d in apart.items()]
    above = "" if floor is None else f", {text(total - floor, 2)} above the entropy"
    best = "This T is the cheapest" if T == cheapest else f"T = {cheapest} is the cheapest"
    return f"The total is {total:.2f} bits/dim{above}: {' and '.join(pays)}. {best} of these."


def describe(T: int, now: dict[str, Bound], floor: float | None) -> str:
    """The figure in words."""
    ends = ", ".join(f"{name} {each.total:.2f}" for name, each in now.items())
    level = "" if floor is None else f" The entropy, {floor:.2f}, is dashed."
    return (
        f"Left, for T = {T}, what is paid from T down to t, over t; at t = 1 the total is reached: {ends}. "
        f"Right, the totals over T.{level}"
    )
