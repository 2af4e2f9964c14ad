"""Settings: what can be set, where each value came from, and how to write the file.

From the weakest to the strongest: default, file (TOML), environment (`.env` counts as such), flag. API keys are no
settings: they live in `engine.keys`.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

from engine.kernel.errors import InvalidConfig, InvalidInput, nearest, shown
from engine.kernel.records import record

Port: TypeAlias = int | None
"""0 takes a free port, None does not listen."""

Origin = Literal["default", "file", "environment", "flag"]


@record
class Spec:
    """How a setting is named and read. `key` is its place in the TOML file; `environment` are its variables, the first
    one wins. `tables` says that it is a group of named tables, which another room reads."""

    key: str
    help: str
    parse: Callable[[object], Any]
    environment: tuple[str, ...] = ()
    tables: bool = False


def _setting(default: Any, key: str, parse: Callable[[object], Any], help: str, *environment: str) -> Any:
    return field(default=default, metadata={"spec": Spec(key, help, parse, environment)})


def _tables(key: str, help: str) -> Any:
    spec = Spec(key, help, _named_tables, tables=True)
    return field(default_factory=dict, metadata={"spec": spec})


def _named_tables(value: object) -> Mapping[str, Mapping[str, Any]]:
    if isinstance(value, Mapping) and all(isinstance(table, Mapping) for table in value.values()):
        return value
    raise ValueError("a table for each name")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text")
    return value


def _flag(value: object) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.casefold() in words:
        return words[value.casefold()]
    raise ValueError("true or false")


def _port(value: object) -> Port:
    if value == "off":
        return None
    number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) <= 5 else value
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= 65535:
        return number
    raise ValueError("a port from 0 to 65535, or `off`")


def _days(value: object) -> int:
    number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) <= 5 else value
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= 36_500:
        return number
    raise ValueError("a number of days, or 0 to keep all")


def _folder(value: object) -> Path | None:
    try:
        return Path(_text(value)).expanduser() if value else None
    except RuntimeError:
        raise ValueError("a folder; there is no such home") from None


def _choice(*choices: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in choices:
            raise ValueError("one of " + ", ".join(choices))
        return str(value)

    return parse


def _url(value: object) -> str:
    text = _text(value).strip()
    if text and not text.startswith(("http://", "https://")):
        text = f"http://{text}"
    if any(character.isspace() for character in text):
        raise ValueError("an address without spaces, like http://127.0.0.1:11434")
    return text.rstrip("/")


@record
class Settings:
    """All settings with their defaults. Addresses have no slash at their end; empty means not set."""

    host: str = _setting(
        "127.0.0.1", "server.host", _text, "Address that the server binds. Only loopback addresses are served.",
        "CIRCUIT_BREAKER_HOST",
    )  # fmt: skip
    openai_port: Port = _setting(
        3000, "server.openai_port", _port, "Port of the OpenAI-compatible API; 0 takes a free one, `off` none.",
        "CIRCUIT_BREAKER_OPENAI_PORT",
    )  # fmt: skip
    graphql_port: Port = _setting(
        4000, "server.graphql_port", _port, "Port of the GraphQL API; 0 takes a free one, `off` none.",
        "CIRCUIT_BREAKER_GRAPHQL_PORT",
    )  # fmt: skip
    metrics: bool = _setting(
        False, "server.metrics", _flag, "Whether `/metrics` tells Prometheus of requests, tokens, costs and times.",
        "CIRCUIT_BREAKER_METRICS",
    )  # fmt: skip
    data_dir: Path | None = _setting(
        None, "data_dir", _folder, "Folder of the database and the log; the platform's data folder when not set.",
        "CIRCUIT_BREAKER_DATA_DIR",
    )  # fmt: skip
    store: str = _setting(
        "", "store", _text, "sqlite:///PATH (`circuit-breaker.db` in the data folder when not set) or memory://.",
        "CIRCUIT_BREAKER_STORE",
    )  # fmt: skip
    log_level: str = _setting(
        "info", "log_level", _choice("debug", "info", "warning", "error"), "How much is logged.",
        "CIRCUIT_BREAKER_LOG_LEVEL",
    )  # fmt: skip
    log_days: int = _setting(
        365, "log.days", _days, "Days that requests to models are kept in the log; 0 keeps all. Sums are always kept.",
        "CIRCUIT_BREAKER_LOG_DAYS",
    )  # fmt: skip
    log_content: bool = _setting(
        False, "log.content", _flag, "Whether what was asked and answered is kept with each request in the log.",
        "CIRCUIT_BREAKER_LOG_CONTENT",
    )  # fmt: skip
    spend_reference: str = _setting(
        "openai/gpt-5.4", "spend.reference", _text, "Model whose price costs are compared with, as provider/name.",
        "CIRCUIT_BREAKER_SPEND_REFERENCE",
    )  # fmt: skip
    telemetry: str = _setting(
        "", "telemetry.endpoint", _url, "OTLP endpoint (HTTP) that gets a span for each request; none when not set.",
        "CIRCUIT_BREAKER_TELEMETRY_ENDPOINT",
    )  # fmt: skip
    theme: str = _setting(
        "circuit-dark", "workbench.theme", _text, "Theme of the workbench; the palette lists them.",
        "CIRCUIT_BREAKER_THEME",
    )  # fmt: skip
    plain: bool = _setting(
        False, "workbench.plain", _flag, "No boxes and no animation; reads from top to bottom.",
        "CIRCUIT_BREAKER_PLAIN",
    )  # fmt: skip
    default_model: str = _setting(
        "auto", "chat.model", _text, "Model of a new chat.",
        "CIRCUIT_BREAKER_DEFAULT_MODEL",
    )  # fmt: skip
    ollama_url: str = _setting(
        "http://127.0.0.1:11434", "providers.ollama.url", _url, "Where Ollama is.",
        "OLLAMA_BASE_URL",
    )  # fmt: skip
    fetch_pictures: str = _setting(
        "no", "providers.ollama.fetch_pictures", _choice("no", "public", "any"),
        "Which pictures that a prompt only names are fetched for Ollama, which does not do it itself: none, those on"
        " the open internet, or also those on this machine and its network; none where `routing.local_only` is set.",
        "CIRCUIT_BREAKER_FETCH_PICTURES",
    )  # fmt: skip
    openai_url: str = _setting(
        "https://api.openai.com/v1", "providers.openai.url", _url, "Base address of OpenAI's API.",
        "OPENAI_BASE_URL",
    )  # fmt: skip
    anthropic_url: str = _setting(
        "https://api.anthropic.com", "providers.anthropic.url", _url,
        "Base address of Anthropic's API, with or without /v1.",
        "ANTHROPIC_BASE_URL",
    )  # fmt: skip
    google_url: str = _setting(
        "https://generativelanguage.googleapis.com", "providers.google.url", _url, "Base address of Google's API.",
        "GOOGLE_BASE_URL",
    )  # fmt: skip
    custom_url: str = _setting(
        "", "providers.custom.url", _url, "Base address of any other endpoint that speaks OpenAI's API.",
        "CUSTOM_LLM_ENDPOINT",
    )  # fmt: skip
    custom_models: str = _setting(
        "", "providers.custom.models", _text, "Its models, parted by commas; it is asked for them when not set.",
        "CUSTOM_LLM_MODEL",
    )  # fmt: skip
    embedded: bool = _setting(
        True, "providers.embedded.enabled", _flag, "Whether the embedded models may be used.",
        "CIRCUIT_BREAKER_EMBEDDED",
    )  # fmt: skip
    embedded_model: Path | None = _setting(
        None, "providers.embedded.model", _folder, "A GGUF file to use in place of the bundled chat model.",
        "CIRCUIT_BREAKER_EMBEDDED_MODEL",
    )  # fmt: skip
    azure_endpoint: str = _setting(
        "", "providers.azure.endpoint", _url, "Address of an Azure OpenAI resource.",
        "AZURE_OPENAI_ENDPOINT",
    )  # fmt: skip
    azure_api_version: str = _setting(
        "", "providers.azure.api_version", _text,
        "`v1`, or the date of a classic version; 2024-10-21 when not set, v1 for an address that ends so.",
        "AZURE_OPENAI_API_VERSION",
    )  # fmt: skip
    azure_deployments: str = _setting(
        "", "providers.azure.deployments", _text,
        "Its deployments and the models behind them: `my-chat=gpt-4o, my-vectors=text-embedding-3-small`.",
        "AZURE_OPENAI_DEPLOYMENTS",
    )  # fmt: skip
    vertex_project: str = _setting(
        "", "providers.vertex.project", _text, "Project of Google Cloud whose Vertex AI is asked.",
        "VERTEX_PROJECT",
    )  # fmt: skip
    vertex_region: str = _setting(
        "global", "providers.vertex.region", _text, "Region of Vertex AI, or `global`.",
        "VERTEX_REGION",
    )  # fmt: skip
    dial: str = _setting(
        "balanced", "routing.dial", _choice("quality", "balanced", "saving"),
        "How good a model must be for a hard prompt, before price and speed count.",
        "CIRCUIT_BREAKER_ROUTING_DIAL",
    )  # fmt: skip
    local_only: bool = _setting(
        False, "routing.local_only", _flag, "Whether no prompt may leave this machine, whoever asks for what.",
        "CIRCUIT_BREAKER_LOCAL_ONLY",
    )  # fmt: skip
    emulate_tools: bool = _setting(
        False, "routing.emulate_tools", _flag,
        "Whether models without tools are told of them in words, and their calls read from their text.",
        "CIRCUIT_BREAKER_EMULATE_TOOLS",
    )  # fmt: skip
    endpoints: Mapping[str, Mapping[str, Any]] = _tables(
        "endpoints", "More providers, a table for each: `[endpoints.NAME]` with kind, url and what that kind needs."
    )
    routes: Mapping[str, Mapping[str, Any]] = _tables(
        "routes", "Your own virtual models, a table for each: `[routes.NAME]` with models, weights and limits."
    )
    nats_url: str = _setting("", "nats.url", _text, "Address of a NATS server.", "NATS_URL")
    nats_cluster: str = _setting("", "nats.cluster", _text, "Name of the NATS cluster.", "NATS_CLUSTER_NAME")
    nats_jetstream: bool = _setting(
        True, "nats.jetstream", _flag, "Whether JetStream may be used.", "NATS_ENABLE_JETSTREAM"
    )


@record
class Loaded:
    """Settings, with where each came from: its origin, and the variable or file."""

    settings: Settings
    origins: Mapping[str, tuple[Origin, str]]
    file: Path


def specs() -> Iterator[tuple[str, Spec, Any]]:
    """Each setting's attribute, its spec and its default, in order."""
    for one in fields(Settings):
        yield one.name, one.metadata["spec"], {} if one.metadata["spec"].tables else one.default


def load(file: Path, environ: Mapping[str, str], flags: Mapping[str, object], *, must_exist: bool = False) -> Loaded:
    """Read all sources. `flags` are by attribute; those that are None were not given.

    Raises InvalidConfig naming the file with line and column, the variable or the flag, and what would be right.
    """
    in_file = _read(file, must_exist=must_exist)
    values: dict[str, Any] = {}
    origins: dict[str, tuple[Origin, str]] = {}
    for name, spec, _ in specs():
        origins[name] = ("default", "")
        if spec.key in in_file:
            origins[name] = ("file", str(file))
            values[name] = _parsed(spec, in_file[spec.key], f"{spec.key} in {file}")
        for variable in spec.environment:
            if environ.get(variable):
                origins[name] = ("environment", variable)
                values[name] = _parsed(spec, environ[variable], variable)
                break
        if flags.get(name) is not None:
            option = "--" + name.replace("_", "-")
            origins[name] = ("flag", option)
            values[name] = _parsed(spec, flags[name], option)
    return Loaded(Settings(**values), origins, file)


def save(file: Path, key: str, value: object) -> None:
    """Write one setting into the TOML file, which keeps its comments and its order.

    Raises InvalidInput when there is no such setting or the value is wrong, InvalidConfig when the file cannot be
    read or written.
    """
    import tomlkit  # only needed here, and no part of starting up
    from tomlkit.exceptions import TOMLKitError
    from tomlkit.items import InlineTable

    spec = next((spec for _, spec, _ in specs() if spec.key == key), None)
    if spec is None:
        raise InvalidInput(f"There is no setting {shown(key)}.", why=_hint(key), details={"path": key})
    _parsed(spec, value, key)
    file = file.resolve()  # a link stays a link
    try:
        document = tomlkit.parse(file.read_text(encoding="utf-8") if file.exists() else "")
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise InvalidConfig(f"{file} cannot be read.", why=f"{error}.", details={"file": str(file)}) from None
    *sections, last = key.split(".")
    table: Any = document
    for section in sections:
        if not isinstance(table.get(section), MutableMapping):
            inline = isinstance(table, InlineTable)
            table[section] = tomlkit.inline_table() if inline else tomlkit.table(is_super_table=section != sections[-1])
        table = table[section]
    table[last] = value
    fresh = file.with_name(file.name + ".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(tomlkit.dumps(document), encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        raise InvalidConfig(
            f"{file} cannot be written.", why=f"{error.strerror}.", details={"file": str(file)}
        ) from None


def _read(file: Path, *, must_exist: bool) -> dict[str, object]:
    """The file's values by dotted key."""
    try:
        tree = tomllib.loads(file.read_bytes().decode())
    except FileNotFoundError:
        if must_exist:
            raise InvalidConfig(
                f"The settings file {file} does not exist.",
                fix="Name another with --config.",
                details={"file": str(file)},
            ) from None
        return {}
    except OSError as error:
        raise InvalidConfig(
            f"The settings file {file} cannot be read.", why=f"{error.strerror}.", details={"file": str(file)}
        ) from None
    except UnicodeDecodeError as error:
        raise InvalidConfig(
            f"The settings file {file} is not UTF-8.", why=f"At byte {error.start}.", details={"file": str(file)}
        ) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        at = re.search(r"at line (\d+), column (\d+)", str(error))
        raise InvalidConfig(
            f"The settings file {file} cannot be read.",
            why=f"{error}.",
            fix="Mend the line, or start with another file: --config FILE.",
            details={"file": str(file), "problem": str(error)}
            | ({"line": int(at[1]), "column": int(at[2])} if at else {}),
        ) from None
    known = {spec.key for _, spec, _ in specs()}
    values = dict(_flattened(tree))
    for key in values:
        if key not in known:
            raise InvalidConfig(
                f"{file} has a setting {shown(key)} that is not known.",
                why=_hint(key),
                fix="Correct its name or take it out.",
                details={"file": str(file), "path": key},
            )
    return values


def _flattened(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    whole = {spec.key for _, spec, _ in specs() if spec.tables}
    for key, value in tree.items():
        if isinstance(value, Mapping) and f"{prefix}{key}" not in whole:
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _hint(key: str) -> str:
    known = [spec.key for _, spec, _ in specs()]
    section, _, name = key.rpartition(".")
    beside = {one.rpartition(".")[2]: one for one in known if one.rpartition(".")[0] == section}
    close = [beside[one] for one in nearest(name, beside, 1)] if beside else nearest(key, known, 1)
    return f"Did you mean {close[0]}?" if close else ""


def _parsed(spec: Spec, value: object, where: str) -> Any:
    try:
        return spec.parse(value)
    except ValueError as error:
        raise InvalidConfig(
            f"{where} is {shown(str(value))}.", fix=f"Give {error}.", details={"path": spec.key}
        ) from None
