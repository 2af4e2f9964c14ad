"""From the effects of a firing to the jobs of a token. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from engine.jobs.model import Job, JobKey
from engine.nets.effects import Abandon, Arm, Ask, Begin, Disarm, Effect
from engine.nets.token import Token

KINDS = ("timer", "timeout", "ask", "begin", "abandon", "resume")


def errands(token: Token, effects: Sequence[Effect], now: datetime) -> tuple[list[Job], list[JobKey]]:
    """The jobs that `effects` of a change to `token` put, and the keys of those that they end. The last word about a
    clock counts: a chain of firings may set and stop it several times. A token that has come to an end, or was
    cancelled, and runs inside another one sends that one on."""
    put: dict[JobKey, Job] = {}
    dropped: dict[JobKey, None] = {}
    for effect in effects:
        match effect:
            case Arm(clock, name, due):
                job = Job(token.id, clock, name, due, token.version)
                put[job.key] = job
                dropped.pop(job.key, None)
            case Disarm(clock, name):
                put.pop((token.id, clock, name), None)
                dropped[token.id, clock, name] = None
            case Ask(name):
                job = Job(token.id, "ask", name, now, token.version)
                put[job.key] = job
            case Begin(transition, source, workflow, child):
                inside = {"transition": transition, "source": source, "workflow": workflow, "child": child}
                job = Job(token.id, "begin", child, now, token.version, inside)
                put[job.key] = job
            case Abandon(child):
                put.pop((token.id, "begin", child), None)
                job = Job(token.id, "abandon", child, now, token.version, {"child": child})
                put[job.key] = job
            case _:
                assert_never(effect)
    parent = token.metadata.get("parent")
    if token.status != "active" and isinstance(parent, dict):
        around, outside = parent.get("transition"), parent.get("token")
        if isinstance(around, str) and isinstance(outside, str):
            job = Job(outside, "resume", token.id, now, token.version, {"transition": around, "child": token.id})
            put[job.key] = job
    return list(put.values()), list(dropped)
