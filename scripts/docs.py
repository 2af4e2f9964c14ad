"""Write the tables of docs/reference that say what the code says.

    uv run python scripts/docs.py            write them
    uv run python scripts/docs.py --check    are they as the code has it?

A page has its own words; a table stands between `<!-- table: NAME -->` and `<!-- end -->`, and is written from
`engine.kernel.settings`, `engine.keys.environment`, `engine.kernel.errors` with `server.errors`, or `app.actions`.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from app.actions import ACTIONS, actions_of, shown_keys
from engine.kernel import errors
from engine.kernel.errors import CircuitBreakerError
from engine.kernel.settings import specs
from engine.keys.environment import VARIABLES
from server.errors import STATUS

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
TABLE = re.compile(r"<!-- table: (?P<name>[\w ]+) -->\n.*?<!-- end -->", re.S)
BEFORE_SERVING = (errors.InvalidConfig, errors.PortTaken)  # no request can meet them, so they have no status


def settings() -> str:
    rows = [
        [f"`{spec.key}`", _default(default), " ".join(f"`{name}`" for name in spec.environment), spec.help]
        for _, spec, default in specs()
    ]
    return _table(["in the file", "default", "environment", "what it is"], rows)


def providers() -> str:
    rows = [[provider, " ".join(f"`{name}`" for name in names)] for provider, names in VARIABLES.items()]
    return _table(["provider", "environment"], rows)


def error_codes() -> str:
    rows = [[f"`{kind.code}`", _status(kind), kind.__name__, _sentence(kind)] for kind in _errors()]
    return _table(["code", "HTTP", "class", "when"], rows)


def actions(place: str) -> str:
    rows = [
        [shown_keys(action).replace("|", "\\|"), action.title, action.help.replace("|", "\\|")]
        for action in actions_of(place)
    ]
    return _table(["keys", "action", "what it does"], rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "settings": settings,
    "providers": providers,
    "errors": error_codes,
} | {f"keys {place}": (lambda place=place: actions(place)) for place in dict.fromkeys(one.place for one in ACTIONS)}


def written(text: str) -> str:
    """A page with its tables as the code has them."""
    return TABLE.sub(lambda match: f"<!-- table: {match['name']} -->\n{TABLES[match['name']]()}\n<!-- end -->", text)


def problems() -> Iterator[str]:
    """What is out of step, a sentence each."""
    found: list[str] = []
    for page in sorted(FOLDER.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        names = [match["name"] for match in TABLE.finditer(text)]
        found += names
        if not set(names) <= TABLES.keys() or written(text) != text:
            yield f"{page.name} is not as the code has it."
    yield from (f"No page has the table {name!r}." for name in TABLES if name not in found)


def main() -> int:
    if "--check" not in sys.argv:
        for page in FOLDER.glob("*.md"):
            page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
    found = list(problems())
    for problem in found:
        print(f"docs: {problem} Run `make docs`.", file=sys.stderr)
    return 1 if found else 0


def _errors() -> Iterator[type[CircuitBreakerError]]:
    for kind in vars(errors).values():
        if inspect.isclass(kind) and issubclass(kind, CircuitBreakerError) and kind is not CircuitBreakerError:
            yield kind


def _status(kind: type[CircuitBreakerError]) -> str:
    return "–" if kind in BEFORE_SERVING else str(next(STATUS[one] for one in kind.__mro__ if one in STATUS))


def _sentence(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split())


def _default(value: object) -> str:
    if value is None or value == "":
        return "not set"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    raise SystemExit(main())
