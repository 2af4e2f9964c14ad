"""Moving live tokens from one workflow to another: the plan, by distinct marking. Pure.

A marking is carried over place by place, by the same name or by the map that is given. What it becomes is accepted when
the new workflow itself can reach it: everything that was proven of the new workflow then holds for the token as well.
It is accepted with a remark when it is not reached, but the token can always come to an end from there. Everything else
is refused, with the reason, and stays where it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from engine.kernel.errors import NotFound
from engine.nets.analysis.states import explore
from engine.nets.analysis.verdicts import analyse
from engine.nets.marking import Marking, in_words
from engine.nets.model import Net

MOST_STATES = 100_000


class Acceptance(StrEnum):
    """Whether the tokens of a marking are carried over."""

    ACCEPTED = "ACCEPTED"
    WITH_REMARK = "WITH_REMARK"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of the tokens of one marking."""

    marking: Marking
    tokens: int
    after: Marking
    acceptance: Acceptance
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a migration does, a step for each distinct marking of the live tokens."""

    source: str
    target: str
    steps: tuple[Step, ...]

    @property
    def carried(self) -> int:
        return sum(step.tokens for step in self.steps if step.acceptance is not Acceptance.REFUSED)

    @property
    def refused(self) -> int:
        return sum(step.tokens for step in self.steps if step.acceptance is Acceptance.REFUSED)


def plan(
    source: tuple[str, Net],
    target: tuple[str, Net],
    markings: Sequence[tuple[Marking, int]],
    places: Mapping[str, str],
) -> Plan:
    """What becomes of tokens with these markings; `places` maps places of the source to places of the target, those
    that are not in it keep their names. Workflows are given with their ids.

    Raises NotFound for a place in the map that is not there.
    """
    (source_id, old), (target_id, new) = source, target
    for before, after in places.items():
        if before not in old.place_ids:
            raise NotFound.named(f"place of {source_id}", before, old.place_ids)
        if after not in new.place_ids:
            raise NotFound.named(f"place of {target_id}", after, new.place_ids)
    reached = reachable(new)
    steps = tuple(_step(new, marking, tokens, places, reached) for marking, tokens in markings)
    return Plan(source_id, target_id, steps)


def reachable(net: Net) -> frozenset[frozenset[tuple[str, int]]]:
    """The markings that the net reaches, as far as MOST_STATES of them."""
    space = explore(net, MOST_STATES)
    return frozenset(frozenset(space.marking(state).items()) for state in range(len(space)))


def _step(
    new: Net,
    marking: Marking,
    tokens: int,
    places: Mapping[str, str],
    reached: frozenset[frozenset[tuple[str, int]]],
) -> Step:
    after: dict[str, int] = {}
    missing = []
    for place, count in marking.items():
        name = places.get(place, place)
        if name in new.place_ids:
            after[name] = after.get(name, 0) + count
        else:
            missing.append(place)
    if missing:
        reason = f"The new workflow has no place {' and '.join(missing)}; say where its tokens go."
        return Step(marking, tokens, {}, Acceptance.REFUSED, reason)
    if frozenset(after.items()) in reached:
        return Step(marking, tokens, after, Acceptance.ACCEPTED, "The new workflow reaches it by itself.")
    words = in_words(after, new.place_ids)
    verdict = analyse(replace(new, initial=after), most_states=MOST_STATES)
    if verdict.option_to_complete and verdict.proper_completion and verdict.deadlock_free:
        reason = f"The new workflow does not reach {words} by itself; it can always come to an end from there."
        return Step(marking, tokens, after, Acceptance.WITH_REMARK, reason)
    why = verdict.findings[0].message if verdict.findings else "It is not proven that it can come to an end."
    return Step(marking, tokens, after, Acceptance.REFUSED, f"From {words}: {why}")
