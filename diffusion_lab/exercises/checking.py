"""``check``: run a student's function, and say like a teacher what is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .comparing import LOOSE, NotAlike, agree, parts, parts_like, poorer_dtype
from .exercise import Case, Exercise, Mistake, negated
from .report import Report, drawable
from .running import CPU_SECONDS, Outcome, Run, call, run

CHANGED, DETACHED, DTYPE = "changed input", "detached gradient", "wrong dtype"
ENDLESS, OWN_NOISE = "endless loop", "noise of its own"
NOISE = {"noise", "eps", "epsilon", "z", "xi", "generator"}


def judge(exercise: Exercise, function: Any, seconds: float = CPU_SECONDS) -> Report:
    """The report on `function`, which may be anything that a student hands in."""

    def report(message: str, mistake: str | None = None, **more: Any) -> Report:
        return Report(exercise.name, more.pop("passed", False), mistake, message, **more)

    if not callable(function):
        hint = " Hand in the function itself, without calling it." if function is not None else ""
        return report(f"The checker was given {kind(function)}, not a function.{hint}")
    cases = exercise.inputs()
    theirs = run(function, exercise.parameters, cases, seconds)
    if theirs.out_of_time:
        message = f"It had not come to an end after {seconds:g} seconds, and was stopped."
        return report(f"{message} Look at the condition that ends your loop.", ENDLESS)
    if untouched(theirs):
        return report(f"Nothing is written yet: it asks for {first_line(exercise)}", open=True)

    right = [call(exercise.solution, exercise.parameters, case) for case in cases]
    good = [agree(yours, truth) for yours, truth in zip(theirs.outcomes, right, strict=True)]
    beside = side_effects(exercise, theirs, right)
    if all(good) and not beside:
        return report(f"Right, on all {len(cases)} inputs.", passed=True)
    pairs = drawable(comparable(theirs.outcomes, right))
    if len(beside) == 1 and (all(good) or (DTYPE in beside and nearly(theirs.outcomes, right))):
        ((name, (seen, look)),) = beside.items()
        return report(f"{seen} {look}", name, pairs=() if all(good) else pairs)
    if list(beside) == [OWN_NOISE] and len(comparable(theirs.outcomes, right)) >= len(cases):
        return report(" ".join(beside[OWN_NOISE]), OWN_NOISE)
    if not beside:
        for mistake in (*exercise.mistakes, sign(exercise)):
            if all(map(agree, theirs.outcomes, outcomes(exercise, mistake, cases))):
                return report(f"{mistake.seen} {mistake.look}", mistake.name, pairs=pairs)
    seen = [sentence for sentence, _ in beside.values()] + symptoms(exercise, theirs, right, good, cases)
    return report("Not right, and not a mistake I know. " + " ".join(seen), pairs=pairs)


def outcomes(exercise: Exercise, mistake: Mistake, cases: list[Case]) -> list[Outcome]:
    """What a student with this mistake gets."""
    return [call(mistake.function, exercise.parameters, case) for case in cases]


def sign(exercise: Exercise) -> Mistake:
    """The mistake that every exercise has."""
    seen = "Your result is the right one, with the other sign."
    return Mistake("wrong sign", negated(exercise.solution), seen, "Look at what is subtracted from what.")


def kind(value: Any) -> str:
    """A value that is no function, in words."""
    return "None" if value is None else f"a {type(value).__name__}"


def first_line(exercise: Exercise) -> str:
    """The first sentence of the task."""
    first = exercise.task.split("\n\n")[1].split("\n")[0]
    return first[0].lower() + first[1:] if not first[:2].isupper() else first


def untouched(theirs: Run) -> bool:
    """Whether this is the stub: it returns nothing, or `...`, or says NotImplementedError, every time."""
    return all(
        isinstance(outcome.error, NotImplementedError)
        or (outcome.error is None and (outcome.value is None or outcome.value is ...))
        for outcome in theirs.outcomes
    )


def side_effects(exercise: Exercise, theirs: Run, right: list[Outcome]) -> dict[str, tuple[str, str]]:
    """What is wrong beside the values: name of the mistake -> what was seen, where to look."""
    found = {}
    changed = sorted({name for outcome in theirs.outcomes for name in outcome.changed})
    if changed:
        seen = f"After the call, {' and '.join(changed)} had other values than before."
        found[CHANGED] = seen, "Look for an operation in place: +=, *=, x[…] = … or a name that ends in _."
    if theirs.again and theirs.outcomes and differ(theirs.again, theirs.outcomes[0]):
        seen = "Two calls with the same arguments gave different answers."
        noise = sorted(NOISE & set(exercise.parameters))
        look = f"All randomness should come from {noise[0]}." if noise else "Nothing here is random."
        found[OWN_NOISE] = seen, look
    pairs = zip(theirs.outcomes, right, strict=True)
    if any(lost_gradient(yours, truth) for yours, truth in pairs):
        seen = "No gradient reaches the inputs through your result."
        found[DETACHED] = seen, "Look for detach, no_grad, item, numpy, or a tensor made anew from numbers."
    coarse = [name for name in map(poorer_dtype, theirs.outcomes, right) if name]
    if coarse:
        wanted = str(parts(right[0].value)[0].dtype).removeprefix("torch.")
        seen = f"Your result has dtype {coarse[0]}, where the inputs ask for {wanted} or better."
        found[DTYPE] = seen, "Look for float(), int(), long(), or a tensor made without a dtype."
    return found


def differ(a: Outcome, b: Outcome) -> bool:
    """Whether one function gave two answers to one input."""
    return not agree(a, b, tolerance=1e-6) if not (a.error or b.error) else bool(a.error) != bool(b.error)


def lost_gradient(yours: Outcome, truth: Outcome) -> bool:
    """Whether the right answer has a gradient and this one has none."""
    wanted = isinstance(truth.value, Tensor) and truth.value.requires_grad
    return wanted and yours.error is None and not getattr(yours.value, "requires_grad", False)


def nearly(theirs: list[Outcome], right: list[Outcome]) -> bool:
    """Whether all answers are right but for rounding."""
    return all(agree(yours, truth, LOOSE) for yours, truth in zip(theirs, right, strict=True))


def comparable(theirs: list[Outcome], right: list[Outcome]) -> list[tuple[Tensor, Tensor]]:
    """(right, student's) for each part of an answer that has the right shape."""
    pairs: list[tuple[Tensor, Tensor]] = []
    for yours, truth in zip(theirs, right, strict=True):
        if yours.error is None and truth.error is None:
            try:
                pairs += zip(parts(truth.value), parts_like(yours.value, truth.value), strict=True)
            except NotAlike:
                continue
    return pairs


def symptoms(
    exercise: Exercise, theirs: Run, right: list[Outcome], good: list[bool], cases: list[Case]
) -> list[str]:
    """Sentences on what was seen, for a mistake without a name."""
    said: list[str] = []
    n = len(cases)
    where = [exercise.describe(case) for case, fine in zip(cases, good, strict=True) if not fine]
    if 0 < sum(good) < n:
        said.append(f"It is right on {sum(good)} of {n} inputs; the first one that is wrong has {where[0]}.")
    for yours, case in zip(theirs.outcomes, cases, strict=True):
        if yours.error is not None:
            text = str(yours.error).split("\n")[0][:160]
            what = f"It raised {type(yours.error).__name__}{': ' * bool(text)}{text}".rstrip(".")
            said.append(f"{what} (with {exercise.describe(case)}).")
            break
    for yours, truth, case in zip(theirs.outcomes, right, cases, strict=True):
        if yours.error is None:
            try:
                parts_like(yours.value, truth.value)
            except NotAlike as problem:
                said.append(f"With {exercise.describe(case)}, {problem}.")
                break
    pairs = comparable(theirs.outcomes, right)
    if any(not part.double().isfinite().all() and truth.isfinite().all() for truth, part in pairs):
        said.append("Some of its values are NaN or infinite.")
    elif pairs and (factor := common_factor(pairs)):
        said.append(f"Its values are {factor:.4g} times the right ones, everywhere.")
    elif len(said) == 0:
        said.append(f"The first input that is wrong has {where[0]}." if where else "")
    return [sentence for sentence in said if sentence]


def common_factor(pairs: list[tuple[Tensor, Tensor]]) -> float | None:
    """The number that all right values were multiplied by, if there is one."""
    truth = torch.cat([a.detach().double().flatten() for a, _ in pairs])
    yours = torch.cat([b.detach().double().flatten() for _, b in pairs])
    use = truth.isfinite() & (truth.abs() > 1e-9)
    ratio = yours[use] / truth[use]
    if len(ratio) < 3 or (ratio - ratio.mean()).abs().max() > 1e-4 * ratio.mean().abs():
        return None
    return ratio.mean().item()


def closest(name: str, known: list[str]) -> str:
    """A sentence on a name that is not known."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"


Checker = Callable[..., Report]
