"""Write the tables of docs/reference that say what the code says.

    uv run python scripts/docs.py            write them
    uv run python scripts/docs.py --check    are they as the code has it?

A page has its own words; a table stands between `<!-- table: NAME -->` and `<!-- end -->`, and is written from
`engine.kernel.settings`, `engine.keys.environment`, `engine.kernel.errors` with `server.errors`, or `app.actions`.
"""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from app.actions import ACTIONS, actions_of, shown_keys
from engine.kernel import errors
from engine.kernel.errors import CircuitBreakerError
from engine.kernel.settings import specs
from engine.keys.environment import VARIABLES
from engine.llm import knowledge
from engine.llm.knowledge import Knowledge
from engine.llm.messages import ChatMessage, ChatRequest
from engine.llm.model import FREE, Ability, Model
from engine.llm.priors import Priors
from engine.llm.routing import Policy, Standing, decide
from engine.llm.routing.gates import CODES
from engine.llm.routing.policies import BUILT_IN, STRATEGIES
from server.errors import STATUS

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
TABLE = re.compile(r"<!-- table: (?P<name>[\w ]+) -->\n.*?<!-- end -->", re.S)
DATA = Path(__file__).resolve().parents[1] / "assets" / "models"
EXAMPLE_DAY = date(2026, 11, 26)
PRIORS = Priors(json.loads((DATA / "quality.json").read_bytes()))
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


def policies() -> str:
    rows = [[f"`{one.name}`", one.about, *_weights(one), _floor(one)] for one in BUILT_IN.values()]
    parts = ["quality", "cost", "speed", "reliability", "same model", "local"]
    return _table(["model", "takes", *parts, "quality at least"], rows)


def _weights(policy: Policy) -> list[str]:
    found = policy.weights
    told = (found.quality, found.cost, found.latency, found.reliability, found.stickiness, found.local)
    return [f"{value:g}" if value else "" for value in told]


def _floor(policy: Policy) -> str:
    if not policy.floor:
        return ""
    return f"{policy.floor:g}" + (f" + {policy.steeper:g} · difficulty" if policy.steeper else "")


def gates() -> str:
    return _table(["code", "a model that"], [[f"`{code}`", words] for code, words in CODES.items()])


def strategies() -> str:
    def stands_for(name: str) -> str:
        special = {"": "the named model and no other", "task": "the model of the task: `cb:coding` and so on"}
        return special.get(name, f"`{name}`" if name != "load_balanced" else "spread over what is equally able")

    rows = [[f"`{one}`", stands_for(name)] for one, name in STRATEGIES.items()]
    return _table(["`routing_strategy`", "is like"], rows)


EXAMPLES = {
    "a greeting": "Hello!",
    "a function": "Write a Python function that merges two sorted lists, and its tests.",
    "a proof": "Prove step by step why sorting by comparisons cannot be faster than n log n.",
}


def decision(example: str) -> str:
    """What `auto` decides for an example, with models, prices and priors as they come with the program."""
    found = decide(ChatRequest("auto", (ChatMessage.of("user", EXAMPLES[example]),)), list(_models()), _standing)
    rows = [[f"`{one.model.id}`", f"{one.score:.2f}", "; ".join(one.reasons)] for one in found.ranked]
    rows += [[f"`{one.model.id}`", "", f"rejected: {one.reason}"] for one in found.rejected]
    needs = found.needs
    why = f" ({', '.join(needs.task_why)})" if needs.task_why else ""
    hard = f" ({', '.join(needs.difficulty_why)})" if needs.difficulty_why else ""
    head = f"> {EXAMPLES[example]}\n\nTask: {needs.task}{why}. Difficulty: {needs.difficulty:g}{hard}."
    return f"{head}\n\n{_table(['model', 'score', 'because'], rows)}"


def _models() -> Iterator[Model]:
    known = Knowledge(knowledge.read((DATA / "catalog.json").read_bytes()), None)
    chat = frozenset[Ability]({"chat", "tools", "json"})
    sizes = [("llama3.2:3b", "3.2B", 2.0, True), ("qwen2.5-coder:7b", "7.6B", 4.7, False)]
    for name, size, gigabytes, loaded in sizes:
        details = {"parameter_size": size}
        yield Model("ollama", name, chat, 32_768, round(gigabytes * 1e9), FREE, True, loaded, details=details)
    for provider, name in (("openai", "gpt-5-nano"), ("openai", "gpt-5.4-mini"), ("anthropic", "claude-sonnet-4-6")):
        yield known.enriched(Model(provider, name, chat), EXAMPLE_DAY, "")
    yield Model("ollama", "nomic-embed-text", frozenset({"embedding"}), 2048, 274_000_000, FREE, True)


def _standing(model: Model) -> Standing:
    prior = PRIORS.of(model)
    return Standing(prior.skills, prior.source) if prior else Standing()


TABLES: Mapping[str, Callable[[], str]] = {
    "settings": settings,
    "providers": providers,
    "errors": error_codes,
    "policies": policies,
    "gates": gates,
    "strategies": strategies,
    "decision a greeting": lambda: decision("a greeting"),
    "decision a function": lambda: decision("a function"),
    "decision a proof": lambda: decision("a proof"),
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
