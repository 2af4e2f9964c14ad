"""How good models are at what, before anybody here has used them: from public benchmarks, dated. Pure.

The data is `assets/models/quality.json`, which says where each number is from and what was assumed. A model that no
table has is estimated from its size; one in the cloud takes the value of the nearest of its family. All of it is a rule
of thumb, which a user's own thumbs move.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from engine.llm.model import Model
from engine.llm.routing.estimates import parameters

_TAILS = re.compile(r"([-@]\d{8}|[-@]\d{4}-\d{2}-\d{2}|:latest|-latest|-instruct.*|-it\b.*|-q\d.*|-preview.*)$")
_CODERS = re.compile(r"code|coder|devstral|starcoder", re.I)


@dataclass(frozen=True, slots=True)
class Prior:
    """Skills from 0 to 1, and where they are from, for people."""

    skills: Mapping[str, float]
    source: str


class Priors:
    def __init__(self, data: Mapping[str, Any] = MappingProxyType({})) -> None:
        """`data` is the content of quality.json."""
        self._rows: dict[str, Prior] = {}
        for table in ("livebench_2024", "livebench"):  # the newer one wins
            told = data.get(table, {})
            factor = float(told.get("factor", 1.0))
            for row in told.get("models", ()):
                date = str(row.get("release", told.get("release", "")))[:7]
                words = f"LiveBench {date}" + (f", times {factor:g}" if factor != 1.0 else "")
                skills = {skill: factor * float(value) / 100 for skill, value in row["percent"].items()}
                self._put(_plain(row["model"]), Prior(skills, words), thinking="effort" in row)
        edit = data.get("aider_edit", {})
        for name, percent in edit.get("percent", {}).items():
            value = float(edit.get("factor", 1.0)) * float(percent) / 100
            known = self._rows.get(_plain(name))
            if known is None:
                self._rows[_plain(name)] = Prior({"coding": value}, f"Aider, {edit.get('dates', '')}")
        self._size = data.get("by_size", {})
        self._factors = float(data.get("livebench_2024", {}).get("factor", 0.6)), float(edit.get("factor", 0.42))

    def of(self, model: Model) -> Prior | None:
        """What is known of a model, or estimated; None when there is nothing to go by."""
        name = _plain(model.name)
        if found := self._rows.get(name):
            if "reasoning" in found.skills or not (sized := self._by_size(model)):
                return found
            return Prior({**sized.skills, **found.skills}, f"{found.source}; the rest estimated from size")
        if model.local or parameters(model):
            return self._by_size(model)
        return self._of_family(name)

    def _put(self, name: str, prior: Prior, *, thinking: bool) -> None:
        """Keep the newest row of a model; of two of one release the one without thinking, as it is asked."""
        known = self._rows.get(name)
        if known is None or prior.source > known.source or (prior.source == known.source and not thinking):
            self._rows[name] = prior

    def _by_size(self, model: Model) -> Prior | None:
        billions = parameters(model)
        if not billions:
            return None
        general, coding = self._factors
        mean = general * _line(self._size.get("livebench_2024_mean"), billions)
        kind = "aider_edit_coders" if _CODERS.search(model.name) else "aider_edit_general"
        skills = dict.fromkeys(("reasoning", "math", "data", "language", "instructions", "agentic"), mean)
        return Prior({**skills, "coding": coding * _line(self._size.get(kind), billions)}, "estimated from its size")

    def _of_family(self, name: str) -> Prior | None:
        """The nearest older version of the same family; what a newer one can says nothing of an older one."""
        family, version = _family(name)
        older = [(_family(known)[1], known) for known in self._rows if _family(known)[0] == family and family]
        found = max((one for one in older if one[0] <= version), default=None)
        return found and Prior(self._rows[found[1]].skills, f"as {found[1]}, {self._rows[found[1]].source}")


def _line(fitted: Any, billions: float) -> float:
    if not isinstance(fitted, Mapping):
        return 0.0
    return min(1.0, max(0.0, (float(fitted["a"]) + float(fitted["b"]) * math.log2(billions)) / 100))


def _family(name: str) -> tuple[frozenset[str], tuple[int, ...]]:
    """`gpt-5.4-mini` is the mini of gpt, version 5.4."""
    words = [word for word in re.split(r"[-:/ ]", name) if word]
    numbers = [word for word in words if re.fullmatch(r"v?[\d.]+", word)]
    version = tuple(int(one) for word in numbers for one in re.findall(r"\d+", word))
    return frozenset(word for word in words if word not in numbers), version


def _plain(name: str) -> str:
    """A name without its vendor, date and the like: `anthropic/claude-opus-4.8-20260601` is `claude-opus-4-8`."""
    bare = _TAILS.sub("", name.rpartition("/")[2].casefold())
    return bare.replace(".", "-") if bare.startswith("claude") else bare
