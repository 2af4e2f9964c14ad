"""A second opinion on small nets: brute force, by the definitions, sharing no code with the product.

A net here is plain data: places are numbers, a step is (name, needs, takes, below, resets, puts).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Plain:
    places: int
    steps: Sequence[tuple[str, dict[int, int], dict[int, int], dict[int, int], tuple[int, ...], dict[int, int]]]
    first: tuple[int, ...]
    final: tuple[int, ...]


@dataclass
class Space:
    """All markings with their distance from the first, and who leads where. `whole`: the cap was not reached."""

    distance: dict[tuple[int, ...], int]
    after: dict[tuple[int, ...], list[tuple[str, tuple[int, ...]]]] = field(default_factory=dict)
    whole: bool = True


def can(step, marking):
    _, needs, takes, below, _, _ = step
    return all(marking[p] >= w for p, w in (*needs.items(), *takes.items())) and all(
        marking[p] < w for p, w in below.items()
    )


def go(step, marking):
    _, _, takes, _, resets, puts = step
    out = [count - takes.get(place, 0) for place, count in enumerate(marking)]
    out = [0 if place in resets else count for place, count in enumerate(out)]
    return tuple(count + puts.get(place, 0) for place, count in enumerate(out))


def search(net: Plain, cap: int) -> Space:
    space, queue = Space({net.first: 0}), deque([net.first])
    while queue:
        marking = queue.popleft()
        space.after[marking] = [(step[0], go(step, marking)) for step in net.steps if can(step, marking)]
        for _, reached in space.after[marking]:
            if reached not in space.distance:
                if len(space.distance) >= cap:
                    space.whole = False
                    return space
                space.distance[reached] = space.distance[marking] + 1
                queue.append(reached)
    return space


def reachable(space: Space, start) -> set:
    seen, stack = {start}, [start]
    while stack:
        for _, reached in space.after[stack.pop()]:
            if reached not in seen:
                seen.add(reached)
                stack.append(reached)
    return seen


def verdicts(net: Plain, space: Space) -> dict:
    """Each verdict, straight from its definition; `space` is whole. `shortest`: the least steps to each finding."""
    names = {step[0] for step in net.steps}
    ways = {marking: reachable(space, marking) for marking in space.distance}

    def final(marking):
        return sum(marking) == 1 and any(marking[place] for place in net.final)

    def near(markings):
        return min((space.distance[marking] for marking in markings), default=None)

    stuck = [m for m, out in space.after.items() if not out and not final(m)]
    ends = {m for m in space.distance if final(m)}
    dead_ends = {m for m, out in space.after.items() if not out}
    improper = [m for m in space.distance if any(m[p] for p in net.final) and not final(m)]
    lost = [m for m, way in ways.items() if not way & ends]
    trapped = [m for m, way in ways.items() if not way & ends and not way & dead_ends]
    fired = {m: {name for one in way for name, _ in space.after[one]} for m, way in ways.items()}
    bound = max(max(m, default=0) for m in space.distance)
    dead = names - fired[net.first]
    runs_for_ever = not net.final
    option, proper = not lost, not improper
    return {
        "states": len(space.distance),
        "edges": sum(map(len, space.after.values())),
        "bound": bound,
        "safe": bound <= 1,
        "deadlock_free": not stuck,
        "live": all(found == names for found in fired.values()),
        "reversible": all(net.first in way for way in ways.values()),
        "dead_transitions": dead,
        "option_to_complete": None if runs_for_ever else option,
        "proper_completion": None if runs_for_ever else proper,
        "livelock_free": None if runs_for_ever else not trapped,
        "sound": None if runs_for_ever else option and proper and not dead,
        "shortest": {
            "DEADLOCK": near(m for m in stuck if m not in set(improper)),
            "UNSAFE": near(m for m in space.distance if max(m, default=0) > 1),
            "IMPROPER_COMPLETION": None if runs_for_ever else near(improper),
            "CANNOT_COMPLETE": None if runs_for_ever else near(lost),
            "LIVELOCK": None if runs_for_ever else near(trapped),
        },
    }
