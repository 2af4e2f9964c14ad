"""When a job that failed is tried again. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta

from engine.jobs.model import Job

MOST_ATTEMPTS = 8
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0


def after_failure(job: Job, error: str, at: datetime) -> Job:
    """The job as it goes on after a failure: due again after 1, 2, 4, ... seconds, at most five minutes; dead after
    MOST_ATTEMPTS."""
    attempts = job.attempts + 1
    wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempts - 1))
    state = job.state if attempts < MOST_ATTEMPTS else "dead"
    return replace(job, attempts=attempts, error=error[:500], due=at + timedelta(seconds=wait), state=state)
