"""Idempotency keys of changes that are stored together. Pure."""

from collections.abc import Sequence

from engine.nets.token import Token
from engine.store.ports import Change
from engine.workflows.conflicts import key_reused


def answers(changes: Sequence[Change], earlier: Sequence[Token | None]) -> list[Token | None]:
    """The token that answers each change without storing it: one of `earlier` requests under its key, or of a change
    before it in the same batch. None for those that are to be stored.

    Raises Conflict when a key comes twice for different requests.
    """
    first: dict[str, Change] = {}
    found = list(earlier)
    for number, change in enumerate(changes):
        if change.once is None or found[number] is not None:
            continue
        before = first.setdefault(change.once.key, change)
        if before is not change:
            assert before.once is not None
            if before.once.fingerprint != change.once.fingerprint:
                raise key_reused(change.once)
            found[number] = before.token
    return found
