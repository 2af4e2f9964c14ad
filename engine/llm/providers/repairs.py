"""One repair of a request: a parameter that a model refuses is left out, once, and remembered for that model.

Which parameters a model takes changes faster than any table; upstreams name the one that they do not take.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.kernel.errors import ProviderRejected


class Repairs:
    def __init__(self, droppable: Sequence[str], words: Mapping[str, Sequence[str]] | None = None) -> None:
        """`droppable` are the fields whose absence changes how well, but not what is answered. `words` are what
        errors call some of them beside their names."""
        self._droppable, self._words = droppable, words or {}
        self._refused: dict[str, dict[str, None]] = {}

    def of(self, model: str) -> tuple[str, ...]:
        """What is known to be refused by a model."""
        return tuple(self._refused.get(model, ()))

    def learn(self, model: str, error: ProviderRejected, sent: Mapping[str, Any]) -> str | None:
        """The field of `sent` that the error names and that can be left out; None when there is none."""
        if error.details.get("upstream_status") not in (400, 422):
            return None
        said = str(error.details.get("upstream_message", ""))
        for name in self._droppable:
            spellings = "|".join(map(re.escape, (name, *self._words.get(name, ()))))
            if name in sent and re.search(rf"(?<![\w.])(?:{spellings})(?!\w)", said):
                self._refused.setdefault(model, {})[name] = None
                return name
        return None
