"""Strongly connected components and backward reachability over a graph of numbered states. Pure."""

from collections.abc import Iterable, Sequence

Edges = Sequence[Sequence[tuple[int, int]]]
"""For each state, (label, next state)."""


def components(edges: Edges) -> list[int]:
    """The number of the component of each state; a component's number is lower than those that lead to it.

    Tarjan (1972), without recursion.
    """
    order: list[int] = [0] * len(edges)
    low: list[int] = [0] * len(edges)
    component = [-1] * len(edges)
    open_states: list[int] = []
    clock = found = 0
    for root in range(len(edges)):
        if order[root]:
            continue
        trail = [(root, 0)]
        while trail:
            state, at = trail.pop()
            if not order[state]:
                clock += 1
                order[state] = low[state] = clock
                open_states.append(state)
            descended = False
            for position in range(at, len(edges[state])):
                after = edges[state][position][1]
                if not order[after]:
                    trail += [(state, position), (after, 0)]
                    descended = True
                    break
                if component[after] < 0:
                    low[state] = min(low[state], low[after])
            if descended:
                continue
            if low[state] == order[state]:
                while True:
                    member = open_states.pop()
                    component[member] = found
                    if member == state:
                        break
                found += 1
    return component


def can_reach(edges: Edges, goals: Iterable[int]) -> set[int]:
    """The states from which one of `goals` can be reached, the goals included."""
    before: list[list[int]] = [[] for _ in edges]
    for state, outgoing in enumerate(edges):
        for _, after in outgoing:
            before[after].append(state)
    reached = set(goals)
    waiting = list(reached)
    while waiting:
        for state in before[waiting.pop()]:
            if state not in reached:
                reached.add(state)
                waiting.append(state)
    return reached
