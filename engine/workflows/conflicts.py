"""What is said when two requests want different things."""

from engine.jobs.model import Job
from engine.kernel.errors import Conflict
from engine.nets.token import Event
from engine.store.ports import Once
from engine.workflows.model import Workflow


def id_taken(workflow_id: str) -> Conflict:
    return Conflict(
        f"The workflow id {workflow_id} is taken by another definition.",
        why="A workflow does not change once it is stored: tokens rely on it.",
        fix="Choose another id, or leave it out and get the next version.",
        details={"id": workflow_id},
    )


def workflow_clashes(workflow: Workflow, other: str) -> Conflict:
    return Conflict(
        f"The workflow {workflow.id} is not the {other} that is here.",
        why="They have one id, or one name and version, and are not the same.",
        fix="Import into another database, with --data-dir.",
        details={"id": workflow.id, "current": {"id": other}},
    )


def token_moved(version: int, state: str, expected: int) -> Conflict:
    return Conflict(
        f"The token has moved: it is at version {version}, in {state}, not at version {expected}.",
        why="Something else fired it meanwhile.",
        fix="Look at it again and decide anew.",
        details={"expected": expected, "current": {"version": version, "state": state}},
    )


def not_archived(event: Event) -> Conflict:
    return Conflict(
        f"The history of {event.token} up to {event.sequence} cannot be archived.",
        why="It is not what it was, or nothing would be left of it.",
        fix="Look at it again. Nothing was changed.",
        details={"token": event.token, "sequence": event.sequence},
    )


def key_reused(once: Once) -> Conflict:
    return Conflict(
        "The idempotency key was used for another request.",
        why="A key stands for one request and its repetitions.",
        fix="Make a new key for each request.",
        details={"idempotencyKey": once.key},
    )


def job_gone(job: Job) -> Conflict:
    return Conflict(
        f"The {job.kind} {job.name} of the token is not waiting any more.",
        why="It was done already, or the token has moved on.",
        details={"token": job.token, "kind": job.kind, "name": job.name},
    )
