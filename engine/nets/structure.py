"""Whether the parts of a net fit together. What is found here refuses a workflow before it is stored."""

from collections import Counter
from collections.abc import Iterator

from engine.kernel.errors import nearest
from engine.nets.analysis.model import Finding, FindingCode, Severity
from engine.nets.model import Net, Transition


def check(net: Net) -> tuple[Finding, ...]:
    """Errors: names given twice, arcs to places that do not exist, nothing to begin with, a transition that neither
    takes nor puts. Warnings: places that no arc touches."""
    known = set(net.place_ids)
    return (
        *_places(net, known),
        *(found for transition in net.transitions for found in _transition(transition, known)),
    )


def _places(net: Net, known: set[str]) -> Iterator[Finding]:
    for kind, ids in (("place", net.place_ids), ("transition", tuple(t.id for t in net.transitions))):
        for name, times in Counter(ids).items():
            if times > 1:
                yield _error(f"The {kind} {name} is defined {times} times.", **{f"{kind}s": (name,)})
    for what, names in (("The initial place", net.initial), ("The final place", sorted(net.final))):
        for name in names:
            if name not in known:
                yield _error(f"{what} {name} does not exist.{_hint(name, known)}", places=(name,))
    if not net.initial:
        yield _error("No place holds a token at the beginning.")
    touched = {arc.place for t in net.transitions for arc in (*t.inputs, *t.outputs, *t.reads, *t.inhibitors)}
    touched |= {name for t in net.transitions for name in (*t.sources, *t.resets)}
    for place in net.place_ids:
        if place not in touched and place not in net.initial:
            yield Finding(
                FindingCode.STRUCTURE,
                Severity.WARNING,
                f"No transition leads to or from the place {place}.",
                places=(place,),
            )


def _transition(transition: Transition, known: set[str]) -> Iterator[Finding]:
    at = (transition.id,)
    arcs = (*transition.inputs, *transition.outputs, *transition.reads, *transition.inhibitors)
    for name in dict.fromkeys([*transition.sources, *(arc.place for arc in arcs), *transition.resets]):
        if name not in known:
            yield _error(
                f"The transition {transition.id} names the place {name}, which does not exist.{_hint(name, known)}",
                places=(name,),
                transitions=at,
            )
    if not (transition.sources or transition.inputs or transition.outputs or transition.resets):
        yield _error(f"The transition {transition.id} moves nothing.", transitions=at)
    if "@" in transition.id:
        yield _error(
            f"The transition id {transition.id} has an @, which names the modes of a transition.", transitions=at
        )
    for name, times in Counter(transition.sources).items():
        if times > 1:
            yield _error(f"The transition {transition.id} names the source {name} {times} times.", transitions=at)


def _hint(name: str, known: set[str]) -> str:
    close = nearest(name, known, 1)
    return f" Did you mean {close[0]}?" if close else ""


def _error(message: str, places: tuple[str, ...] = (), transitions: tuple[str, ...] = ()) -> Finding:
    return Finding(FindingCode.STRUCTURE, Severity.ERROR, message, places=places, transitions=transitions)
