"""What can be proven of a net whose state space was not searched to its end. Pure.

Reductions decide soundness; invariants bound places; coverability names all places that grow; stubborn sets find a
deadlock or prove that there is none. What none of them decides stays "not proven".
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.nets.analysis.components import components
from engine.nets.analysis.coverability import cover
from engine.nets.analysis.model import Analysis, Finding, FindingCode, Severity, Step
from engine.nets.analysis.packing import Packing
from engine.nets.analysis.reduction import closed, reduced
from engine.nets.analysis.states import KeepGoing, StateSpace, explore
from engine.nets.analysis.stubborn import Reduced, search
from engine.nets.marking import in_words
from engine.nets.model import Net

_MOST_REDUCED = 50_000
_MOST_STUBBORN = 20_000
_MOST_TRIED = 4_000_000  # moves looked at in all states
_MOST_NODES = 5_000  # of a net, for methods whose cost grows with its square


def decided(
    net: Net, space: StateSpace, found: Analysis, certain: Mapping[str, Any], keep_going: KeepGoing
) -> Analysis:
    """`found` with what other methods add to it, and with how each verdict was come by. `certain` is what reductions
    said before."""
    found = replace(found, by=_by(found, {}, "state space"))
    if found.complete:
        return found
    if certain:
        found = _with(found, "reduction", **certain)
        found = _settled(found) if found.sound or found.live else found
    found = _bounded_by_invariants(net, found)
    if space.stopped:
        return found
    if space.unbounded:
        return _covered(net, space, found, keep_going) if all(move.plain for move in space.moves) else found
    if found.deadlock_free is None:
        found = _stubborn(net, space, found, keep_going)
    return found


_VERDICTS = (
    "bounded",
    "safe",
    "live",
    "reversible",
    "deadlock_free",
    "sound",
    "option_to_complete",
    "proper_completion",
    "livelock_free",
    "dead_transitions",
)


def _by(found: Analysis, known: dict[str, str], method: str) -> dict[str, str]:
    return known | {name: method for name in _VERDICTS if getattr(found, name) is not None and name not in known}


def _with(found: Analysis, method: str, **verdicts: object) -> Analysis:
    """`found` with those of `verdicts` that were not known."""
    news = {name: value for name, value in verdicts.items() if getattr(found, name) is None and value is not None}
    after: Analysis = replace(found, **news)  # type: ignore[arg-type]
    return replace(after, by=_by(after, dict(found.by), method))


def _covered(net: Net, space: StateSpace, found: Analysis, keep_going: KeepGoing) -> Analysis:
    if len(net.places) + len(net.modes) > _MOST_NODES:
        return found
    tree = cover(space.tokens(0), space.moves, keep_going)
    if tree is None:
        return found
    names = tuple(net.place_ids[place] for place in tree.places)
    alive = {net.modes[mode].transition.id for mode in tree.fired}
    dead = tuple(one.id for one in net.transitions if one.id not in alive)
    findings = tuple(_all_growing(one, names) for one in found.findings)
    found = replace(found, unbounded_places=names, findings=findings, dead_transitions=None)
    return _with(found, "coverability", dead_transitions=dead)


def _all_growing(finding: Finding, names: tuple[str, ...]) -> Finding:
    if finding.code is not FindingCode.UNBOUNDED:
        return finding
    others = [name for name in names if name not in finding.places]
    more = f" So can {' and '.join(others)}." if others else ""
    return replace(finding, message=finding.message + more, places=(*finding.places, *others))


def certificate(net: Net, keep_going: KeepGoing) -> dict[str, Any]:
    """The verdicts that reductions prove, by their names; none when the net is not of the kind, or stays too large."""
    whole = closed(net)
    if whole is None or not whole.transitions:
        return {}
    small = explore(reduced(whole, keep_going), _MOST_REDUCED, keep_going)
    works = _works(small)
    if works and not net.final:
        return {"bounded": True, "live": True, "deadlock_free": True, "dead_transitions": (), "unbounded_places": ()}
    if works:
        goes_on = any(arc.place in net.final for mode in net.modes for arc in mode.inputs)
        moves_on = None if goes_on else False
        return {
            **dict.fromkeys(("sound", "bounded", "deadlock_free", "option_to_complete"), True),
            **dict.fromkeys(("proper_completion", "livelock_free"), True),
            "dead_transitions": (),
            "unbounded_places": (),
            "live": moves_on,
            "reversible": moves_on,
        }
    if works is False and len(net.final) == 1 and all(len(one.sources) < 2 for one in net.transitions):
        return {"sound": False}  # with several sources it may be a dead mode only, which is no fault
    return {}


def _works(space: StateSpace) -> bool | None:
    """Whether a plain net is live and bounded."""
    if space.unbounded:
        return False
    if not space.complete:
        return None
    graph = components(len(space), space.starts, space.targets)
    every = len(space.moves)
    return every > 0 and all(
        len({space.labels[edge] for state in graph.members(one) for edge in _row(space, state)}) == every
        for one in graph.bottoms
    )


def _settled(found: Analysis) -> Analysis:
    """The remark that the search was cut short, in words that fit what is proven all the same."""
    message = f"The first {found.states:,} states were searched, and there are more; reductions proved the rest."
    return replace(
        found,
        findings=tuple(
            replace(one, message=message) if one.code is FindingCode.INCOMPLETE else one for one in found.findings
        ),
    )


def _row(space: StateSpace, state: int) -> range:
    return range(space.starts[state], space.starts[state + 1])


def _bounded_by_invariants(net: Net, found: Analysis) -> Analysis:
    bounds: dict[str, int] = {}
    for law in found.invariants:
        if law.kind == "place" and law.value is not None:
            for place, weight in law.weights.items():
                bounds[place] = min(bounds.get(place, law.value // weight), law.value // weight)
    if len(bounds) < len(net.places) or found.bounded is False:
        return found
    safe = True if max(bounds.values(), default=0) <= 1 else None
    return _with(found, "invariant", bounded=True, unbounded_places=(), safe=safe)


def _stubborn(net: Net, space: StateSpace, found: Analysis, keep_going: KeepGoing) -> Analysis:
    if len(net.modes) > _MOST_NODES:
        return found
    packing = Packing([2 * bits for bits in space.packing.bits], 3)
    tokens = space.tokens(0)
    first = packing.pack(enumerate(tokens))
    most = min(_MOST_STUBBORN, _MOST_TRIED // (1 + len(space.moves)))
    run = search(space.moves, packing, first, most, keep_going)
    if not (run.complete or run.dead):
        run = search(space.moves, packing, first, most, keep_going, deep=True)
    ends = {packing.pack([(n, 1)]) for n, place in enumerate(net.place_ids) if place in net.final}
    stuck = [state for state in run.dead if run.packed[state] not in ends]
    if stuck:
        finding = _stuck(net, space, packing, run, stuck[0])
        sound = False if net.final else None
        found = _with(found, "stubborn sets", deadlock_free=False, sound=sound)
        return replace(found, findings=(finding, *found.findings))
    return _with(found, "stubborn sets", deadlock_free=True) if run.complete else found


def _stuck(net: Net, space: StateSpace, packing: Packing, run: Reduced, state: int) -> Finding:
    def marking(number: int) -> dict[str, int]:
        tokens = packing.unpack(run.packed[number])
        return {place: count for place, count in zip(net.place_ids, tokens, strict=True) if count}

    way = run.way_to(state)
    steps = [Step(marking(0))]
    for number, reached in way:
        mode = net.modes[number]
        steps.append(Step(marking(reached), mode.transition.id, mode.source))
    return Finding(
        FindingCode.DEADLOCK,
        Severity.ERROR,
        f"It gets stuck in {in_words(marking(state), net.place_ids)}: nothing can fire, and it is not an end. "
        "There may be a shorter way to it.",
        tuple(marking(state)),
        tuple(dict.fromkeys(net.modes[number].transition.id for number, _ in way)),
        tuple(steps),
        any(space.moves[number].guarded for number, _ in way),
    )
