"""How commands reach the engine: the one that is running on this database, over its API, or one opened for the command.

Both take the same GraphQL documents, so that a command is written once.
"""

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Protocol

import orjson

from engine.engine import Engine
from engine.kernel import errors
from engine.kernel.caller import COMMAND
from engine.kernel.errors import CircuitBreakerError, StoreUnavailable
from engine.kernel.settings import Loaded
from engine.kernel.world import World

_TIMEOUT_S = 120


class Door(Protocol):
    async def ask(self, document: str, **variables: Any) -> Any:
        """The data of a GraphQL request. Raises the error it comes back with."""
        ...


@asynccontextmanager
async def open_door(loaded: Loaded, world: World) -> AsyncIterator[Door]:
    """The running instance, if one has the database; else an engine of our own."""
    opening = Engine.open(loaded, world)
    try:
        engine = await opening.__aenter__()
    except StoreUnavailable as error:
        address = error.details.get("graphql")
        if not isinstance(address, str):
            raise
        yield Outside(address)
        return
    try:
        yield Inside(engine)
    finally:
        await opening.__aexit__(None, None, None)


class Inside:
    """An engine in this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ask(self, document: str, **variables: Any) -> Any:
        schema = import_module("server.graphql.schema").schema
        context = import_module("server.graphql.context").Context(self._engine, COMMAND)
        result = await schema.execute(document, variables, context)
        if result.errors:
            raise _error(result.errors[0].formatted)
        return result.data


class Outside:
    """Another process, at its GraphQL address on this machine."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def ask(self, document: str, **variables: Any) -> Any:
        answer = await asyncio.to_thread(self._post, {"query": document, "variables": variables})
        if answer.get("errors"):
            raise _error(answer["errors"][0])
        return answer["data"]

    def _post(self, body: Mapping[str, Any]) -> Any:
        headers = {"content-type": "application/json", "user-agent": "circuit-breaker"}
        request = urllib.request.Request(self._address, orjson.dumps(body), headers)  # noqa: S310  our own instance
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                return orjson.loads(answer.read())
        except urllib.error.HTTPError as error:
            return orjson.loads(error.read())
        except OSError as error:
            raise StoreUnavailable(
                f"The running Circuit Breaker does not answer at {self._address}.",
                why=f"{error}.",
                fix="Quit it, and try again.",
            ) from None


def _error(error: Mapping[str, Any]) -> CircuitBreakerError:
    """An error from GraphQL in our words again."""
    extensions = error.get("extensions") or {}
    kind = _KINDS.get(extensions.get("code", ""), CircuitBreakerError)
    what = extensions.get("what") or error.get("message", "It did not work.")
    return kind(
        what, why=extensions.get("why", ""), fix=extensions.get("fix", ""), details=extensions.get("details") or {}
    )


_KINDS: Mapping[str, type[CircuitBreakerError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, CircuitBreakerError) and kind is not errors.InvalidConfig
}
