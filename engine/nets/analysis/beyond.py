"""What can be proven of a net whose state space was not searched to its end. Pure.

Reductions decide soundness; invariants bound places; coverability names all places that grow; siphons prove that there
is no deadlock, stubborn sets the same, or find one; random walks find what is wrong without a proof of what is right.
What none of them decides stays "not proven".
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.nets.analysis.components import components
from engine.nets.analysis.coverability import cover
from engine.nets.analysis.model import Analysis, Finding, FindingCode, Severity, Step
from engine.nets.analysis.packing import Packing
from engine.nets.analysis.reduction import closed, reduced
from engine.nets.analysis.siphons import never_again, never_filled, never_stuck, siphon_rules
from engine.nets.analysis.states import KeepGoing, StateSpace, explore
from engine.nets.analysis.stubborn import search
from engine.nets.analysis.walks import Wrong, walks
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
    found = _beyond(net, space, found, certain, keep_going)
    hanging = tuple(name for name in _ON_GUARDS if getattr(found, name) and any(move.guarded for move in space.moves))
    return replace(found, on_guards=hanging, every_deadlock=found.deadlock_free is True)


def _beyond(
    net: Net, space: StateSpace, found: Analysis, certain: Mapping[str, Any], keep_going: KeepGoing
) -> Analysis:
    if certain:
        found = _with(found, "reduction", **certain)
        found = _settled(found) if found.sound or found.live else found
    found = _bounded_by_invariants(net, found)
    if space.stopped:
        return found
    if space.unbounded:
        if all(move.plain for move in space.moves):
            found = _covered(net, space, found, keep_going)
    elif found.deadlock_free is None:
        found = _by_siphons(net, space, found)
    if found.deadlock_free is None and not space.unbounded:
        found = _stubborn(net, space, found, keep_going)
    return _walked(net, space, found, keep_going)


_ON_GUARDS = ("deadlock_free", "option_to_complete", "sound")
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
        way = [(mode, packing.unpack(run.packed[state])) for mode, state in run.way_to(stuck[0])]
        return _with_deadlock(net, space, found, way, "stubborn sets")
    return _with(found, "stubborn sets", deadlock_free=True) if run.complete else found


def _by_siphons(net: Net, space: StateSpace, found: Analysis) -> Analysis:
    """Only for nets that run for ever: one that ends has its last marking, in which nothing fires."""
    if net.final or len(net.modes) > _MOST_NODES or not never_stuck(space.moves, space.tokens(0)):
        return found
    return _with(found, "siphons", deadlock_free=True)


def _walked(net: Net, space: StateSpace, found: Analysis, keep_going: KeepGoing) -> Analysis:
    """`found` with what random walks meet of that which is not decided."""
    if len(net.modes) > _MOST_NODES:
        return found
    packing = Packing([2 * bits for bits in space.packing.bits], 7)
    ends = {packing.pack([(n, 1)]) for n, place in enumerate(net.place_ids) if place in net.final}
    on_ends = packing.mask(n for n, place in enumerate(net.place_ids) if place in net.final)
    crowded = packing.values & ~packing.pack((place, 1) for place in range(len(net.places)))
    wanted: dict[str, Wrong] = {}
    if found.deadlock_free is None:
        wanted["deadlock"] = lambda marking, dead: dead and marking not in ends
    if found.proper_completion is None and net.final:
        wanted["improper"] = lambda marking, dead: bool(marking & on_ends) and marking not in ends
    if found.safe is None:
        wanted["unsafe"] = lambda marking, dead: bool(marking & crowded)
    if not wanted:
        return found
    met = walks(space.moves, packing, packing.pack(enumerate(space.tokens(0))), wanted, keep_going)
    for name, walk in met.items():
        way = [(mode, packing.unpack(marking)) for mode, marking in zip(walk.modes, walk.markings, strict=True)]
        last = way[-1][1] if way else space.tokens(0)
        if name == "deadlock":
            found = _with_deadlock(net, space, found, way, _WALK)
            continue
        places = tuple(place for place, count in zip(net.place_ids, last, strict=True) if count > (name == "unsafe"))
        if name == "improper":
            words = in_words(_marking(net, last), net.place_ids)
            message = f"It can reach an end while other work is still open: {words}."
            found = _with(found, _WALK, proper_completion=False, sound=False)
            finding = _found(net, space, FindingCode.IMPROPER_COMPLETION, Severity.ERROR, message, way, places)
        else:
            message = f"{' and '.join(places)} can hold more than one token."
            found = _with(found, _WALK, safe=False)
            finding = _found(net, space, FindingCode.UNSAFE, Severity.INFO, message, way, places)
        found = replace(found, findings=(finding, *found.findings))
    return found


_WALK = "random walk"
Way = Sequence[tuple[int, Sequence[int]]]
"""The steps of a run: a mode, and the tokens after it."""


def _with_deadlock(net: Net, space: StateSpace, found: Analysis, way: Way, method: str) -> Analysis:
    last = way[-1][1] if way else space.tokens(0)
    siphon = tuple(net.place_ids[place] for place in never_filled(siphon_rules(space.moves), space.moves, last))
    marking = _marking(net, last)
    message = f"It gets stuck in {in_words(marking, net.place_ids)}: nothing can fire, and it is not an end."
    message += f" {never_again(siphon)}" if siphon else ""
    finding = _found(net, space, FindingCode.DEADLOCK, Severity.ERROR, message, way, tuple(marking))
    finding = replace(finding, siphon=siphon)
    option = False if net.final else None
    found = _with(found, method, deadlock_free=False, sound=option, option_to_complete=option)
    return replace(found, findings=(finding, *found.findings), deadlocks=(finding,))


def _found(
    net: Net,
    space: StateSpace,
    code: FindingCode,
    severity: Severity,
    message: str,
    way: Way,
    places: tuple[str, ...],
) -> Finding:
    steps = [Step(_marking(net, space.tokens(0)))]
    steps += [
        Step(_marking(net, tokens), net.modes[mode].transition.id, net.modes[mode].source) for mode, tokens in way
    ]
    return Finding(
        code,
        severity,
        f"{message} There may be a shorter way to it.",
        places,
        tuple(dict.fromkeys(net.modes[mode].transition.id for mode, _ in way)),
        tuple(steps),
        any(space.moves[mode].guarded for mode, _ in way),
    )


def _marking(net: Net, tokens: Sequence[int]) -> dict[str, int]:
    return {place: count for place, count in zip(net.place_ids, tokens, strict=True) if count}
