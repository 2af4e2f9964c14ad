"""Endpoints that people add: `[endpoints.NAME]` of the settings file, read and checked. Pure.

A table says of which kind an endpoint is; a preset is a kind with an address and what else is known of it. What is
wrong is said with the table, the field and the nearest right name.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from engine.kernel.errors import InvalidConfig, nearest, shown
from engine.kernel.records import record
from engine.llm.model import Ability, Price

KINDS = ("openai", "anthropic", "google", "azure", "vertex")
TAKEN = ("ollama", "openai", "anthropic", "google", "azure", "vertex", "custom", "embedded", "auto", "cb")
_ABILITIES: tuple[Ability, ...] = ("chat", "embedding", "tools", "vision", "thinking", "json")
_FIELDS = ("kind", "url", "headers", "auth", "key_env", "models", "local", "title")
_MORE: Mapping[str, tuple[str, ...]] = {
    "azure": ("deployments", "api_version"),
    "vertex": ("project", "region", "credentials", "token_url"),
}
_OF_A_MODEL = ("name", "base", "abilities", "context", "most_output", "input", "output", "cache_read", "cache_write")
_SECRET = ("authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie")
_OURS = ("host", "content-length", "content-type", "transfer-encoding", "connection", "accept", "accept-encoding")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@record
class Preset:
    """A kind whose address is known. `keyless` can be asked without a key; `catalog` is whose prices hold."""

    kind: str
    url: str
    title: str
    key_env: str = ""
    keyless: bool = False
    catalog: str = ""


PRESETS: Mapping[str, Preset] = {
    "vllm": Preset("openai", "http://127.0.0.1:8000/v1", "vLLM", keyless=True),
    "llama.cpp": Preset("openai", "http://127.0.0.1:8080/v1", "llama.cpp", keyless=True),
    "lmstudio": Preset("openai", "http://127.0.0.1:1234/v1", "LM Studio", keyless=True),
    "localai": Preset("openai", "http://127.0.0.1:8080/v1", "LocalAI", keyless=True),
    "openrouter": Preset("openai", "https://openrouter.ai/api/v1", "OpenRouter", "OPENROUTER_API_KEY"),
    "groq": Preset("openai", "https://api.groq.com/openai/v1", "Groq", "GROQ_API_KEY"),
    "mistral": Preset("openai", "https://api.mistral.ai/v1", "Mistral", "MISTRAL_API_KEY"),
    "deepseek": Preset("openai", "https://api.deepseek.com/v1", "DeepSeek", "DEEPSEEK_API_KEY"),
    "together": Preset("openai", "https://api.together.xyz/v1", "Together", "TOGETHER_API_KEY"),
    "xai": Preset("openai", "https://api.x.ai/v1", "xAI", "XAI_API_KEY"),
    "fireworks": Preset("openai", "https://api.fireworks.ai/inference/v1", "Fireworks", "FIREWORKS_API_KEY"),
    "cerebras": Preset("openai", "https://api.cerebras.ai/v1", "Cerebras", "CEREBRAS_API_KEY"),
    "perplexity": Preset("openai", "https://api.perplexity.ai", "Perplexity", "PERPLEXITY_API_KEY"),
    "cohere": Preset("openai", "https://api.cohere.ai/compatibility/v1", "Cohere", "COHERE_API_KEY"),
}
_DEFAULTS: Mapping[str, Preset] = {
    "openai": Preset("openai", "", "OpenAI-compatible", keyless=True),
    "anthropic": Preset("anthropic", "https://api.anthropic.com", "Anthropic", catalog="anthropic"),
    "google": Preset("google", "https://generativelanguage.googleapis.com", "Google", catalog="google"),
    "azure": Preset("azure", "", "Azure OpenAI", catalog="azure"),
    "vertex": Preset("vertex", "", "Vertex AI", catalog="vertex"),
}


@record
class Given:
    """A model that the user named. Empty is not told; `base` is the model behind a name that is only a label."""

    name: str
    base: str = ""
    abilities: frozenset[Ability] = frozenset()
    context: int = 0
    most_output: int = 0
    price: Price | None = None


@record
class Endpoint:
    """One table. `auth` is bearer, none, `header:NAME`, or empty for what its kind does. `local` None takes it from the
    address."""

    name: str
    kind: str
    url: str
    title: str
    auth: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    key_env: str = ""
    keyless: bool = False
    models: tuple[Given, ...] = ()
    local: bool | None = None
    catalog: str = ""
    api_version: str = ""
    project: str = ""
    region: str = ""
    credentials: str = ""
    token_url: str = ""


def read_endpoints(tables: Mapping[str, Mapping[str, Any]]) -> tuple[Endpoint, ...]:
    """The endpoints in the order of the file. Raises InvalidConfig naming the table and the field."""
    return tuple(_Table(name, table).endpoint() for name, table in tables.items())


def deployments_in(text: str) -> tuple[Given, ...]:
    """Deployments as one line: `name`, or `name=model`, parted by commas."""
    rows = (row.partition("=") for row in text.split(",") if row.strip())
    return tuple(Given(name.strip(), base.strip() or name.strip()) for name, _, base in rows)


class _Table:
    def __init__(self, name: str, table: Mapping[str, Any]) -> None:
        self._name, self._table = name, table
        if name in TAKEN or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,60}", name):
            why = "That is the name of a provider that is built in." if name in TAKEN else ""
            self._wrong("", f"endpoints.{name} has a name that cannot be taken.", why, "Use letters, digits, - and _.")

    def endpoint(self) -> Endpoint:
        preset = self._preset()
        self._only(self._table, (*_FIELDS, *_MORE.get(preset.kind, ())), "", f"of the kind {preset.kind}")
        url = self._url(preset)
        auth = self._auth(preset)
        return Endpoint(
            self._name,
            preset.kind,
            url,
            self._text("title") or f"{preset.title} ({self._name})",
            auth,
            self._headers(),
            self._variable() or preset.key_env,
            preset.keyless or auth == "none",
            (*self._models(), *self._deployments()),
            self._flag("local"),
            preset.catalog,
            self._text("api_version"),
            self._needed("project", preset) if preset.kind == "vertex" else "",
            self._text("region") or ("global" if preset.kind == "vertex" else ""),
            self._text("credentials"),
            self._address("token_url", self._text("token_url")),
        )

    def _preset(self) -> Preset:
        kind = self._text("kind")
        known = {**_DEFAULTS, **PRESETS}
        if not kind:
            self._wrong("kind", "It is missing.", "", f"Say of which kind it is: {', '.join(KINDS)}, or a preset.")
        if kind not in known:
            fix = f"Use one of {', '.join(known)}."
            self._wrong("kind", f"It is {shown(kind)}.", _meant(kind, known), fix)
        return known[kind]

    def _url(self, preset: Preset) -> str:
        url = self._text("url") or preset.url
        if not url and preset.kind != "vertex":
            self._wrong("url", "It is missing.", "", "Say where it is, like https://api.example.com/v1.")
        return self._address("url", url)

    def _address(self, field: str, url: str) -> str:
        if url and not re.fullmatch(r"https?://[^\s/?#@]+[^\s?#@]*", url if "://" in url else f"http://{url}"):
            why = "An address is http:// or https://, a host, perhaps a port and a path; no user, password or query."
            self._wrong(field, "It is no address.", why, "Write it like https://api.example.com/v1.")
        return url.rstrip("/")

    def _auth(self, preset: Preset) -> str:
        auth = self._text("auth")
        how, _, name = auth.partition(":")
        right = auth in ("", "bearer", "none") or (how == "header" and _TOKEN.fullmatch(name))
        if not right:
            near = _meant(how, ("bearer", "none", "header"))
            self._wrong("auth", f"It is {shown(auth)}.", near, "Use bearer, none, or header:NAME.")
        if auth and preset.kind == "vertex":
            self._wrong("auth", "Vertex AI has only its own.", "", "Take it out.")
        return auth

    def _variable(self) -> str:
        name = self._text("key_env")
        if name and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,100}", name):
            why = "It is the name of an environment variable, never the key itself."
            fix = f"Name one, or keep the key with `circuit-breaker keys set {self._name}`."
            self._wrong("key_env", "", why, fix)
        return name

    def _headers(self) -> Mapping[str, str]:
        headers = self._table.get("headers", {})
        if not isinstance(headers, Mapping):
            self._wrong("headers", "It is no table.", "", 'Write it like headers = { "x-title" = "mine" }.')
        for name, value in headers.items():
            if name.casefold() in _SECRET:
                fix = f"Keep it with `circuit-breaker keys set {self._name}`; `auth` says how it is sent."
                self._wrong(f"headers.{name}", "A key does not stand in this file.", "", fix)
            if not _TOKEN.fullmatch(name) or name.casefold() in _OURS:
                self._wrong(f"headers.{name}", "That header cannot be set.", "", "Take it out.")
            if not isinstance(value, str) or not value.isascii() or not value.isprintable():
                self._wrong(f"headers.{name}", "It is no text of ASCII letters.", "", "Correct it.")
        return {name.casefold(): value.strip() for name, value in headers.items()}

    # -- models -------------------------------------------------------------------------------------------------------

    def _models(self) -> Iterable[Given]:
        rows = self._table.get("models", ())
        if isinstance(rows, Mapping):
            rows = [{**row, "name": name} if isinstance(row, Mapping) else row for name, row in rows.items()]
        if not isinstance(rows, list | tuple):
            self._wrong("models", "It is no list.", "", 'Write it like models = ["a", { name = "b", context = 8192 }].')
        for place, row in enumerate(rows):
            yield self._model(row, f"models[{place}]")

    def _model(self, row: Any, path: str) -> Given:
        if isinstance(row, str) and row.strip():
            return Given(row.strip())
        if not isinstance(row, Mapping) or not isinstance(row.get("name"), str) or not row["name"].strip():
            self._wrong(path, "It is no model: a name, or a table with a name.", "", 'Write { name = "..." }.')
        self._only(row, _OF_A_MODEL, f"{path}.", "of a model")
        abilities = row.get("abilities", [])
        if not isinstance(abilities, list):
            self._wrong(f"{path}.abilities", "It is no list.", "", f"Use some of {', '.join(_ABILITIES)}.")
        for one in abilities:
            if one not in _ABILITIES:
                near = _meant(str(one), _ABILITIES)
                self._wrong(f"{path}.abilities", f"{shown(str(one))} is no ability.", near, _some(_ABILITIES))
        base = row.get("base", "")
        if not isinstance(base, str):
            self._wrong(f"{path}.base", "It is no name of a model.", "", "Write the name of the model behind it.")
        context, most = self._count(row, "context", path), self._count(row, "most_output", path)
        return Given(row["name"].strip(), base, frozenset(abilities), context, most, self._price(row, path))

    def _deployments(self) -> Iterable[Given]:
        rows = self._table.get("deployments", {})
        if isinstance(rows, list) and all(isinstance(one, str) for one in rows):
            rows = {one: one for one in rows}
        if not isinstance(rows, Mapping) or not all(isinstance(one, str) for one in rows.values()):
            fix = 'Write each with the model behind it: deployments = { "my-chat" = "gpt-4o" }.'
            self._wrong("deployments", "They are no names.", "", fix)
        return [Given(name, base) for name, base in rows.items()]

    def _count(self, row: Mapping[str, Any], name: str, path: str) -> int:
        value = row.get(name, 0)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self._wrong(f"{path}.{name}", "It is no number of tokens.", "", "Write it like 8192.")
        return int(value)

    def _price(self, row: Mapping[str, Any], path: str) -> Price | None:
        told = {name: self._dollars(row[name], f"{path}.{name}") for name in _OF_A_MODEL[5:] if name in row}
        if told and not {"input", "output"} <= told.keys():
            missing = "output" if "input" in told else "input"
            self._wrong(f"{path}.{missing}", "It is missing.", "", "A price has both input and output.")
        if not told:
            return None
        cache_read, cache_write = told.get("cache_read"), told.get("cache_write")
        return Price(told["input"], told["output"], cache_read, cache_write, source="your own settings")

    def _dollars(self, value: Any, path: str) -> Decimal:
        try:
            price = Decimal(str(value)) if isinstance(value, str | int | float) else Decimal("NaN")
        except InvalidOperation:
            price = Decimal("NaN")
        if not price.is_finite() or price < 0 or isinstance(value, bool):
            self._wrong(path, "It is no price.", "", 'Write US dollars for a million tokens, like "0.25".')
        return price

    # -- fields -------------------------------------------------------------------------------------------------------

    def _text(self, field: str) -> str:
        value = self._table.get(field, "")
        if not isinstance(value, str):
            self._wrong(field, f"It is {shown(str(value))}.", "", "Give a text.")
        return str(value).strip()

    def _needed(self, field: str, preset: Preset) -> str:
        if not (value := self._text(field)):
            self._wrong(field, "It is missing.", "", f"{preset.title} needs it.")
        return value

    def _flag(self, field: str) -> bool | None:
        value = self._table.get(field)
        if value is not None and not isinstance(value, bool):
            self._wrong(field, f"It is {shown(str(value))}.", "", "Give true or false.")
        return value

    def _only(self, table: Mapping[str, Any], known: tuple[str, ...], path: str, of: str) -> None:
        for name in table:
            if name not in known:
                why = _meant(str(name), known) or _elsewhere(str(name))
                self._wrong(f"{path}{name}", f"There is no such field {of}.", why, f"Known: {', '.join(known)}.")

    def _wrong(self, field: str, what: str, why: str, fix: str) -> NoReturn:
        path = f"endpoints.{self._name}" + (f".{field}" if field else "")
        said = what if what.startswith("endpoints.") else f"{path} is not right."
        reason = " ".join(part for part in ("" if said == what else what, why) if part)
        raise InvalidConfig(said, why=reason, fix=fix, details={"path": path})


def _meant(name: str, known: Iterable[str]) -> str:
    close = nearest(name, known, 1)
    return f"Did you mean {close[0]!r}?" if close else ""


def _elsewhere(name: str) -> str:
    kinds = [kind for kind, fields in _MORE.items() if name in fields]
    return f"Only the kind {kinds[0]} has it." if kinds else ""


def _some(names: Iterable[str]) -> str:
    return f"Use some of {', '.join(names)}."
