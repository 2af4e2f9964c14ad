"""What is known of cloud models beside what their providers say: prices, context, abilities, dates. Pure.

The data is a catalog (`assets/models/catalog.json`, or the one that the user put in its place) with the user's own
rows on top. A price is given only for the very model at the very provider: a near one may cost ten times as much, and
unknown is better than wrong. What a model can do is the same wherever it runs, so that is also taken from the vendor's
own row.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from engine.kernel.errors import InvalidInput, shown
from engine.kernel.records import record
from engine.llm.model import Ability, Model, Price, Tier

FORMAT, VERSION = "circuit-breaker models", 1
MOST_BYTES = 16_000_000
_ABILITIES: frozenset[Ability] = frozenset({"chat", "embedding", "tools", "vision", "thinking", "json"})
_TOLD = frozenset({"ollama", "openrouter", "embedded"})  # providers that say themselves what a model can do
_VENDORS: Mapping[str, tuple[str, ...]] = {"azure": ("openai",), "vertex": ("google", "anthropic")}
_PARTS = ("input", "output", "cache_read", "cache_write")
_DATED = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|20\d{6})$|-preview-\d{2}-\d{2,4}$|-00\d$")
_ENDS = (":latest", "-latest", "-preview")


@record
class Known:
    """What the data has of one model. `price` is the one that holds on the day that was asked for."""

    name: str
    context: int = 0
    most_output: int = 0
    abilities: frozenset[Ability] = frozenset()
    price: Price | None = None
    released: str = ""
    sources: tuple[str, ...] = ()


@record
class Summary:
    """What a catalog is: its day, and how much is in it."""

    date: str
    providers: int
    models: int
    priced: int


def read(data: bytes, *, whole: bool = True) -> Mapping[str, Any]:
    """A catalog, checked; the user's own rows are not `whole`: they need no head.

    Raises InvalidInput naming the row and the field.
    """
    if len(data) > MOST_BYTES:
        raise _wrong(f"It has more than {MOST_BYTES:,} bytes", "")
    try:
        catalog = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _wrong(f"It is no JSON: {error}", "") from None
    return checked(catalog, whole=whole)


def checked(catalog: Any, *, whole: bool = True) -> Mapping[str, Any]:
    """`catalog` itself. Raises InvalidInput as `read`."""
    if not isinstance(catalog, Mapping) or not isinstance(catalog.get("providers"), Mapping):
        raise _wrong("It has no providers", "providers")
    if whole and (catalog.get("format"), catalog.get("version")) != (FORMAT, VERSION):
        raise _wrong(f'It is not of the format "{FORMAT}", version {VERSION}', "format")
    if whole:
        _day(catalog.get("date"), "date")
    for id, provider in catalog["providers"].items():
        models = provider.get("models") if isinstance(provider, Mapping) else None
        if not isinstance(models, Mapping):
            raise _wrong("It has no models", f"providers.{id}")
        for name, row in models.items():
            _check(row, f"providers.{id}.models.{name}")
    if whole and not any(provider["models"] for provider in catalog["providers"].values()):
        raise _wrong("It has no models", "providers")
    return catalog


def summary(catalog: Mapping[str, Any]) -> Summary:
    rows = [row for provider in catalog["providers"].values() for row in provider["models"].values()]
    priced = sum("prices" in row for row in rows)
    return Summary(str(catalog.get("date", "")), len(catalog["providers"]), len(rows), priced)


class Knowledge:
    """A catalog with the user's `overlay` on top, both as `read` gives them."""

    def __init__(self, catalog: Mapping[str, Any], overlay: Mapping[str, Any] | None = None) -> None:
        self._catalog, self._overlay = catalog, overlay or {"providers": {}}
        self._names: dict[str, Mapping[str, str]] = {}

    def enriched(self, model: Model, on: date, host: str = "") -> Model:
        """`model` with what it does not say itself. `host` is where its provider is asked."""
        table = _detail(model, "catalog") or model.provider
        known = None if model.local else self.find(table, model.name, on, host, _detail(model, "base_model"))
        if known is None:
            return model
        told = table in _TOLD or not known.abilities or model.details.get("abilities") == "given"
        return replace(
            model,
            abilities=model.abilities if told else known.abilities,
            context=model.context or known.context,
            most_output=model.most_output or known.most_output,
            price=model.price if model.price is not None else known.price,
            released=model.released or known.released,
        )

    def find(self, provider: str, name: str, on: date, host: str = "", base: str = "") -> Known | None:
        """What is known of a model. `base` is the model behind it, where its name is only a label (on Azure)."""
        is_its_own = provider in self._catalog["providers"] or provider in _VENDORS
        table = provider if is_its_own else self._table_at(host)
        mine = self._row("overlay", provider, name)
        wanted = base or str(mine.get("base", "")) or name
        found = self._known(table, wanted, on, mine)
        if found is not None:
            return found
        vendor, _, bare = wanted.partition("/")
        for other, short in (*((one, wanted) for one in _VENDORS.get(table, ())), (vendor, bare)):
            if short and (elsewhere := self._known(other, short, on, mine)):
                return replace(elsewhere, price=_price(mine, on, {"mine": ""}))
        return _known(name, mine, on, {"mine": ""}) if mine else None

    # What the files have

    def _known(self, table: str, name: str, on: date, mine: Mapping[str, Any]) -> Known | None:
        known = self._index(table)
        for spelling in spellings(name):
            if id := known.get(spelling):
                row = {**self._row("catalog", table, id), **self._row("overlay", table, id), **mine}
                dates = {key: str(one.get("date", "")) for key, one in self._catalog.get("sources", {}).items()}
                return _known(id, row, on, dates)
        return None

    def _index(self, table: str) -> Mapping[str, str]:
        """Each name and alias, and the id of its row."""
        if table not in self._names:
            names: dict[str, str] = {}
            for id, row in self._rows("catalog", table).items():
                names |= {str(alias).casefold(): id for alias in row.get("aliases", ())}
            for which in ("catalog", "overlay"):
                rows = self._rows(which, table)
                names |= {id.casefold(): id for id, row in rows.items() if which == "catalog" or "base" not in row}
            self._names[table] = names
        return self._names[table]

    def _rows(self, which: str, table: str) -> Mapping[str, Any]:
        source = self._catalog if which == "catalog" else self._overlay
        rows: Mapping[str, Any] = source["providers"].get(table, {}).get("models", {})
        return rows

    def _row(self, which: str, table: str, id: str) -> Mapping[str, Any]:
        row: Mapping[str, Any] = self._rows(which, table).get(id, {})
        return row

    def _table_at(self, host: str) -> str:
        """The provider that a custom endpoint's host belongs to; empty when it is nobody's that we know."""
        found = ((id, one.get("host", "")) for id, one in self._catalog["providers"].items())
        return next((id for id, known in found if known and host in (known, f"www.{known}")), "")


def spellings(name: str) -> Iterator[str]:
    """The names to look for, the most exact one first: as it is, then without what providers put before and after it
    (`models/`, a vendor, a date, `-latest`, `-preview`). A tag such as `:free` is another price, and stays."""
    whole = name.casefold().strip().removeprefix("models/")
    seen: list[str] = []
    for start in dict.fromkeys((whole, whole.rpartition("/")[2])):
        short = start
        while short and short not in seen:
            seen.append(short)
            yield short
            without = _DATED.sub("", short)
            ending = next((one for one in _ENDS if without == short and short.endswith(one)), "")
            short = without.removesuffix(ending) if ending else without
    yield f"{whole}-preview"


def _detail(model: Model, name: str) -> str:
    told = model.details.get(name)
    return told if isinstance(told, str) else ""


def _known(name: str, row: Mapping[str, Any], on: date, dates: Mapping[str, str]) -> Known:
    return Known(
        name=name,
        context=int(row.get("context", 0)),
        most_output=int(row.get("output", 0)),
        abilities=frozenset(row.get("abilities", ())),
        price=_price(row, on, dates),
        released=str(row.get("released", "")),
        sources=tuple(row.get("from", ("mine",))),
    )


def _price(row: Mapping[str, Any], on: date, dates: Mapping[str, str]) -> Price | None:
    """The newest price that holds on a day."""
    held = [one for one in row.get("prices", ()) if one.get("since", "") <= on.isoformat()]
    if not held:
        return None
    cells = held[-1]
    source = next(iter(row.get("from", ("mine",))))
    tiers = tuple(Tier(one["tokens"], *(_decimal(one.get(part)) for part in _PARTS)) for one in cells.get("over", ()))
    return Price(
        Decimal(cells["input"]),
        Decimal(cells["output"]),
        _decimal(cells.get("cache_read")),
        _decimal(cells.get("cache_write")),
        tiers,
        max(dates.get(source, ""), cells.get("since", "")),
        "your own file" if source == "mine" else source,
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


# -- checking ---------------------------------------------------------------------------------------------------------


def _check(row: Any, path: str) -> None:
    if not isinstance(row, Mapping):
        raise _wrong("It is no object", path)
    for name in ("context", "output"):
        if not isinstance(row.get(name, 0), int) or row.get(name, 0) < 0 or isinstance(row.get(name), bool):
            raise _wrong("It is no number of tokens", f"{path}.{name}")
    for name in ("aliases", "abilities", "from", "prices"):
        if not isinstance(row.get(name, []), list):
            raise _wrong("It is no list", f"{path}.{name}")
    for name in ("aliases", "from"):
        if not all(isinstance(one, str) for one in row.get(name, ())):
            raise _wrong("It is no list of texts", f"{path}.{name}")
    if unknown := [one for one in row.get("abilities", ()) if one not in _ABILITIES]:
        raise _wrong(f"{shown(str(unknown[0]))} is no ability", f"{path}.abilities")
    for name in ("released", "base"):
        if not isinstance(row.get(name, ""), str):
            raise _wrong("It is no text", f"{path}.{name}")
    since = ""
    for number, price in enumerate(row.get("prices", ())):
        at = f"{path}.prices.{number}"
        _check_price(price, at)
        if number and price.get("since", "") <= since:
            raise _wrong("Prices stand in the order in which they begin to hold", at)
        since = price.get("since", "")


def _check_price(price: Any, path: str) -> None:
    if not isinstance(price, Mapping):
        raise _wrong("It is no object", path)
    for part in _PARTS:
        _check_number(price.get(part), f"{path}.{part}", needed=part in ("input", "output"))
    if "since" in price:
        _day(price["since"], f"{path}.since")
    before = 0
    tiers = price.get("over", ())
    if not isinstance(tiers, list | tuple):
        raise _wrong("It is no list", f"{path}.over")
    for number, tier in enumerate(tiers):
        at = f"{path}.over.{number}"
        tokens = tier.get("tokens") if isinstance(tier, Mapping) else None
        if not isinstance(tokens, int) or tokens <= before:
            raise _wrong("Tiers stand in the order of their tokens", at)
        before = tokens
        for part in _PARTS:
            _check_number(tier.get(part), f"{at}.{part}", needed=False)


def _check_number(text: Any, path: str, *, needed: bool) -> None:
    if text is None and not needed:
        return
    try:
        number = Decimal(text) if isinstance(text, str) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or number < 0:
        raise _wrong('It is no price: a text such as "0.25", US dollars for a million tokens', path)


def _day(text: Any, path: str) -> None:
    try:
        date.fromisoformat(text)
    except (TypeError, ValueError):
        raise _wrong("It is no day such as 2026-11-09", path) from None


def _wrong(why: str, path: str) -> InvalidInput:
    where = f" at {path}" if path else ""
    return InvalidInput(
        "The model data cannot be taken.",
        why=f"{why}{where}.",
        fix="docs/reference/models.md describes its form.",
        details={"path": path},
    )
