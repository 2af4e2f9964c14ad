"""Decisions, routes, breakers and replays as GraphQL types."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, Self

import strawberry
from strawberry.scalars import JSON

from engine.llm.health import BreakerRow
from engine.llm.replaying import Replay, Replayed, Sums
from engine.llm.routing import Policy
from engine.llm.routing.policies import BUILT_IN, STRATEGIES
from engine.store.ports import RequestRecord
from server.graphql.scalars import timestamp
from server.graphql.words import enum


class Vote(Enum):
    UP = 1
    DOWN = -1
    NONE = 0


enum(Vote, "What the user thinks of an answer.", ("It was good.", "It was not.", "Takes back what was said before."))


@strawberry.type(name="Candidate", description="A model that may answer.")
class CandidateType:
    model: str = strawberry.field(description="Provider and name.")
    score: float = strawberry.field(description="From 0 to 1.")
    reasons: list[str] = strawberry.field(description="What the score is made of.")
    quality: float | None = strawberry.field(description="For this task, from 0 to 1; null when it is not known.")
    cost_usd: float | None = strawberry.field(description="US dollars, estimated; null when it is not known.")
    seconds: float | None = strawberry.field(description="To the end of the answer, estimated.")

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        return cls(
            model=str(row.get("model", "")),
            score=float(row.get("score", 0)),
            reasons=[str(one) for one in row.get("reasons", ())],
            quality=row.get("quality"),
            cost_usd=row.get("cost_usd"),
            seconds=row.get("seconds"),
        )


@strawberry.type(name="RejectedCandidate", description="A model that may not answer.")
class RejectedType:
    model: str = strawberry.field(description="Provider and name.")
    code: str = strawberry.field(description="For programs: no_tools, context_too_small, local_only and so on.")
    reason: str = strawberry.field(description="For people.")


@strawberry.type(name="FailedAttempt", description="A model that was asked and did not answer.")
class FailedAttemptType:
    model: str = strawberry.field(description="Provider and name.")
    error: str = strawberry.field(description="The code of the error.")
    why: str = strawberry.field(description="For people.")
    key: str | None = strawberry.field(description="The last characters of the key, where one was used.")


@strawberry.type(name="Note", description="Something to know about an answer that is no part of it.")
class NoteType:
    code: str = strawberry.field(
        description="For programs: dropped, repaired, loading, cut, hedged, mismatch, remembered."
    )
    text: str = strawberry.field(description="For people.")


@strawberry.type(name="Decision", description="Why a request goes where it goes. It has nothing of what was said.")
class DecisionType:
    id: strawberry.ID | None = strawberry.field(description="The request; null when nobody was asked.")
    asked: str = strawberry.field(description="The model that was asked for.")
    policy: str = strawberry.field(description="The policy that ranked them; `named` when a model was asked for.")
    task: str = strawberry.field(description="What it seems to be: chat, coding, analysis or creative.")
    task_why: list[str] = strawberry.field(description="The signs of that.")
    difficulty: float = strawberry.field(description="From 0 to 1.")
    difficulty_why: list[str] = strawberry.field(description="The signs of that, with their weights.")
    prompt_tokens: int = strawberry.field(description="Of the prompt, estimated.")
    output_tokens: int = strawberry.field(description="Of the answer, expected.")
    needs: JSON = strawberry.field(description="All that was looked at.")
    ranked: list[CandidateType] = strawberry.field(description="The models that may answer, best first.")
    rejected: list[RejectedType] = strawberry.field(description="The others, with what stood against them.")
    attempts: list[FailedAttemptType] = strawberry.field(description="Those that were asked and failed, in order.")
    notes: list[NoteType] = strawberry.field(description="What was noticed.")
    model: str | None = strawberry.field(description="The model that was asked last: provider and name.")
    at: str | None = strawberry.field(description="When the request ended.")
    error: str | None = strawberry.field(description="The code of what it ended with.")

    @classmethod
    def of(cls, body: Mapping[str, Any], record: RequestRecord | None = None) -> Self:
        """From a decision as JSON, as it is in the log."""
        needs: Mapping[str, Any] = body.get("needs") or {}
        return cls(
            id=strawberry.ID(record.id) if record else None,
            asked=str(body.get("asked", record.asked if record else "")),
            policy=str(body.get("policy", "")),
            task=str(needs.get("task", "chat")),
            task_why=[str(one) for one in needs.get("task_why", ())],
            difficulty=float(needs.get("difficulty", 0)),
            difficulty_why=[str(one) for one in needs.get("difficulty_why", ())],
            prompt_tokens=int(needs.get("prompt_tokens", 0)),
            output_tokens=int(needs.get("output_tokens", 0)),
            needs=JSON(dict(needs)),
            ranked=[CandidateType.of(row) for row in body.get("ranked", ())],
            rejected=[
                RejectedType(model=row["model"], code=row["code"], reason=row["reason"])
                for row in body.get("rejected", ())
            ],
            attempts=[
                FailedAttemptType(
                    model=row.get("model", ""), error=row.get("error", ""), why=row.get("why", ""), key=row.get("key")
                )
                for row in body.get("attempts", ())
            ],
            notes=[NoteType(code=row["code"], text=row["text"]) for row in body.get("notes", ())],
            model=f"{record.provider}/{record.model}" if record else None,
            at=timestamp(record.at) if record else None,
            error=record.error or None if record else None,
        )


@strawberry.type(name="RouteWeights", description="What counts how much in a score.")
class WeightsType:
    quality: float = strawberry.field(description="How good a model is at the task.")
    cost: float = strawberry.field(description="How cheap it is.")
    latency: float = strawberry.field(description="How quickly it answers.")
    reliability: float = strawberry.field(description="How many of its answers came.")
    stickiness: float = strawberry.field(description="Whether it answered before.")
    load: float = strawberry.field(description="How little it has to do.")
    local: float = strawberry.field(description="Added for what stays on this machine.")


@strawberry.type(name="Route", description="A virtual model: how the others are weighed.")
class RouteType:
    name: str = strawberry.field(description="To be asked for as a model.")
    about: str = strawberry.field(description="For people.")
    built_in: bool = strawberry.field(description="Whether it comes with the program; else it is from the settings.")
    strategies: list[str] = strawberry.field(description="What `routing_strategy` calls it.")
    task: str | None = strawberry.field(description="The task whose skills count; null for that of the prompt.")
    floor: float = strawberry.field(description="The quality that a model must have for an easy prompt.")
    steeper: float = strawberry.field(description="How much more, for the hardest one.")
    weights: WeightsType = strawberry.field(description="What counts how much.")
    models: list[str] = strawberry.field(description="The models that may be taken, preferred first; all when empty.")
    favour: JSON = strawberry.field(description="What is added to the score of some of them.")
    in_order: bool = strawberry.field(description="Whether `models` are tried in their order, whatever their scores.")
    local_only: bool = strawberry.field(description="Whether prompts stay on this machine.")
    max_cost_per_1k_tokens: float | None = strawberry.field(description="US dollars, at most.")
    max_latency_ms: float | None = strawberry.field(description="Milliseconds, at most.")
    cache: bool = strawberry.field(description="Whether the same request gets the answer that it had before.")

    @classmethod
    def of(cls, policy: Policy) -> Self:
        weights = policy.weights
        return cls(
            name=policy.name,
            about=policy.about,
            built_in=policy.name in BUILT_IN,
            strategies=[name for name, means in STRATEGIES.items() if means == policy.name],
            task=policy.task or None,
            floor=policy.floor,
            steeper=policy.steeper,
            weights=WeightsType(**{name: getattr(weights, name) for name in weights.__dataclass_fields__}),
            models=list(policy.models),
            favour=JSON(dict(policy.favour)),
            in_order=policy.in_order,
            local_only=policy.local_only,
            max_cost_per_1k_tokens=policy.max_cost_per_1k_tokens,
            max_latency_ms=policy.max_latency_ms,
            cache=policy.cache,
        )


@strawberry.type(name="Breaker", description="A circuit breaker that something has failed behind.")
class BreakerType:
    provider: str = strawberry.field(description="The provider.")
    model: str | None = strawberry.field(description="Its model; null when it is the key that failed.")
    key: str = strawberry.field(description="The last characters of the key; empty without one.")
    state: str = strawberry.field(description="closed, open, or half_open: one request is let through to try.")
    failures: int = strawberry.field(description="How many came in a row.")
    seconds_left: float = strawberry.field(description="Until it is tried again.")
    why: str = strawberry.field(description="The last of the errors.")

    @classmethod
    def of(cls, row: BreakerRow) -> Self:
        return cls(
            provider=row.provider,
            model=row.model or None,
            key=row.key,
            state=row.state,
            failures=row.failures,
            seconds_left=row.opens_in_s,
            why=row.why,
        )


@strawberry.type(name="ReplayedRequest", description="A request of the log, decided again.")
class ReplayedType:
    id: strawberry.ID = strawberry.field(description="The request.")
    at: str = strawberry.field(description="When it ended.")
    asked: str = strawberry.field(description="The model that was asked for then.")
    task: str = strawberry.field(description="What it seemed to be.")
    difficulty: float = strawberry.field(description="From 0 to 1.")
    before: str = strawberry.field(description="The model that was asked then: provider and name.")
    after: str | None = strawberry.field(description="The one that would be asked; null when none may.")
    changed: bool = strawberry.field(description="Whether that is another one.")
    reasons: list[str] = strawberry.field(description="Why that one, or why none.")
    error: str | None = strawberry.field(description="The code of what the request ended with then.")
    cost_usd: Decimal | None = strawberry.field(description="US dollars then; null when they are not known.")
    estimated_usd: Decimal | None = strawberry.field(description="US dollars it would have cost, about.")
    duration_s: float = strawberry.field(description="Seconds then.")
    estimated_s: float | None = strawberry.field(description="Seconds it would have taken, about.")

    @classmethod
    def of(cls, row: Replayed) -> Self:
        record, needs = row.record, row.record.decision["needs"]
        return cls(
            id=strawberry.ID(record.id),
            at=timestamp(record.at),
            asked=record.asked,
            task=str(needs.get("task", "chat")),
            difficulty=float(needs.get("difficulty", 0)),
            before=row.before,
            after=row.candidate.model.id if row.candidate else None,
            changed=row.changed,
            reasons=list(row.candidate.reasons) if row.candidate else [row.why],
            error=record.error or None,
            cost_usd=record.cost_usd,
            estimated_usd=row.cost_usd,
            duration_s=record.duration_s,
            estimated_s=row.seconds,
        )


@strawberry.type(name="ReplaySums", description="What was and what would have been.")
class ReplaySumsType:
    requests: int = strawberry.field(description="Over how many: those that were answered, of which both are known.")
    before: Decimal = strawberry.field(description="Then.")
    after: Decimal = strawberry.field(description="With the other policy, about.")
    difference: Decimal = strawberry.field(description="What would have been saved; below zero it is more.")

    @classmethod
    def of(cls, sums: Sums) -> Self:
        return cls(requests=sums.requests, before=sums.before, after=sums.after, difference=sums.before - sums.after)


@strawberry.type(name="Replay", description="What if another policy had decided: nobody was asked.")
class ReplayType:
    policy: str = strawberry.field(description="The policy.")
    requests: list[ReplayedType] = strawberry.field(description="The requests, newest first.")
    changed: int = strawberry.field(description="How many would have gone to another model.")
    refused: int = strawberry.field(description="How many no model might have taken.")
    skipped: int = strawberry.field(description="Of how many the log has not kept enough.")
    cost: ReplaySumsType = strawberry.field(description="US dollars.")
    seconds: ReplaySumsType = strawberry.field(description="Seconds, added up.")

    @classmethod
    def of(cls, found: Replay) -> Self:
        return cls(
            policy=found.policy,
            requests=[ReplayedType.of(row) for row in found.rows],
            changed=sum(row.changed for row in found.rows),
            refused=sum(row.candidate is None for row in found.rows),
            skipped=found.skipped,
            cost=ReplaySumsType.of(found.cost),
            seconds=ReplaySumsType.of(found.seconds),
        )


def notes_of(notes: Sequence[Any]) -> list[NoteType]:
    return [NoteType(code=note.code, text=note.text) for note in notes]
