"""The classes of nets that the textbooks know (Murata 1989, section II-D). They explain; no verdict comes from them."""

from engine.nets.model import Net

STATE_MACHINE, MARKED_GRAPH, FREE_CHOICE = "state machine", "marked graph", "free choice"


def classes(net: Net) -> tuple[str, ...]:
    """Those that `net` belongs to; none when it has weights, reads, inhibitors or resets."""
    for one in net.transitions:
        if one.reads or one.inhibitors or one.resets or any(arc.weight != 1 for arc in (*one.inputs, *one.outputs)):
            return ()
    takes = [frozenset(arc.place for arc in mode.inputs) for mode in net.modes]
    puts = [frozenset(arc.place for arc in mode.transition.outputs) for mode in net.modes]
    takers: dict[str, list[int]] = {}
    fillers: dict[str, int] = {}
    for number, (inputs, outputs) in enumerate(zip(takes, puts, strict=True)):
        for place in inputs:
            takers.setdefault(place, []).append(number)
        for place in outputs:
            fillers[place] = fillers.get(place, 0) + 1
    found = []
    if all(len(one) == 1 for one in (*takes, *puts)):
        found.append(STATE_MACHINE)
    if all(len(one) <= 1 for one in takers.values()) and all(count <= 1 for count in fillers.values()):
        found.append(MARKED_GRAPH)
    if all(takes[number] == takes[numbers[0]] for numbers in takers.values() for number in numbers):
        found.append(FREE_CHOICE)
    return tuple(found)
