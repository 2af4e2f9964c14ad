"""`/graphql`: HTTP, server-sent events and WebSockets on one route.

Strawberry's view for Sanic has no WebSockets; the hooks here add them with Sanic's own handshake, and the protocol
(graphql-transport-ws) is Strawberry's. Status codes follow GraphQL over HTTP (draft of 2025).
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeGuard

import orjson
from cross_web import HTTPException
from graphql import GraphQLError
from sanic import HTTPResponse, Request
from sanic.exceptions import WebsocketClosed
from strawberry.http.async_base_view import AsyncWebSocketAdapter
from strawberry.http.exceptions import (
    NonJsonMessageReceived,
    NonTextMessageReceived,
    WebSocketDisconnected,
)
from strawberry.sanic.views import GraphQLView
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from websockets.exceptions import ConnectionClosed

from engine.engine import Engine
from engine.kernel.errors import InvalidInput
from server.edge import json_response, parse_json
from server.graphql.context import Context
from server.graphql.errors import graphql_error
from server.graphql.schema import schema
from server.pages import graphiql
from server.streaming import caller_of

_MOST_REASON_BYTES = 123  # of a close frame (RFC 6455, section 5.5)
_RESPONSE_JSON = "application/graphql-response+json"


class SanicWebSocket(AsyncWebSocketAdapter):
    def __init__(self, view: Any, request: Any, ws: Any) -> None:
        super().__init__(view)
        self.ws = ws

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        try:
            while (message := await self.ws.recv()) is not None:
                if not isinstance(message, str):
                    raise NonTextMessageReceived
                yield _checked(message)
        except (ConnectionClosed, WebsocketClosed):
            return

    async def send_json(self, message: object) -> None:
        try:
            await self.ws.send(orjson.dumps(message, default=str).decode())
        except (ConnectionClosed, WebsocketClosed) as error:
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        await self.ws.close(code, reason.encode()[:_MOST_REASON_BYTES].decode(errors="ignore"))


def _checked(text: str) -> object:
    """A message that has the shape which Strawberry relies on."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NonJsonMessageReceived from error
    id, payload = (message.get("id"), message.get("payload")) if isinstance(message, dict) else (None, None)
    right = isinstance(message, dict) and isinstance(id, str | None) and isinstance(payload, dict | None)
    if right and message.get("type") == "subscribe":
        query, variables = (payload or {}).get("query"), (payload or {}).get("variables")
        right = isinstance(id, str) and isinstance(query, str) and isinstance(variables, dict | None)
    if not right:
        raise NonJsonMessageReceived
    return message


class Socket(BaseGraphQLTransportWSHandler[Context, None]):
    @staticmethod
    def _get_pre_execution_close_reason(error: GraphQLError) -> str | None:
        return None  # one wrong query does not end the others: it is answered with `error`


class View(GraphQLView[Context, None]):
    """Made anew for each request by `view_of`."""

    websocket_adapter_class = SanicWebSocket
    graphql_transport_ws_handler_class = Socket

    def __init__(self, engine: Engine, ide: bool) -> None:
        super().__init__(schema=schema, graphql_ide="graphiql" if ide else None)
        self._engine = engine
        self.protocols = (GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL)  # SSE is off by default

    async def get_context(self, request: Request, response: Any) -> Context:
        return Context(self._engine, caller_of(request, "graphql"))

    async def get_root_value(self, request: Request) -> None:
        return None

    def decode_json(self, data: str | bytes) -> object:
        parsed = parse_json(data)
        if not isinstance(parsed, dict | list):
            raise HTTPException(400, "A JSON object is expected.")
        return parsed

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data, default=str)

    # -- WebSockets -----------------------------------------------------------------------------------------------

    def is_websocket_request(self, request: Request) -> TypeGuard[Request]:
        return bool(request.headers.get("upgrade", "").lower() == "websocket")

    async def pick_websocket_subprotocol(self, request: Request) -> str | None:
        offered = [one.strip() for one in request.headers.get("sec-websocket-protocol", "").split(",")]
        return next((one for one in self.websocket_subprotocols if one in offered), None)

    async def create_websocket_response(self, request: Request, subprotocol: str | None) -> Any:
        protocol: Any = request.transport.get_protocol()
        request.ctx.socket = await protocol.websocket_handshake(request, [subprotocol] if subprotocol else None)
        return request.ctx.socket

    def get_websocket_headers(self, request: Request) -> dict[str, str]:
        return {key.lower(): value for key, value in request.headers.items()}

    async def reject_websocket(self, request: Request) -> Any:
        return HTTPResponse("The origin is not allowed.", status=403)

    def is_websocket_origin_allowed(self, request: Request, origin: str) -> bool:
        return True  # the edge has looked at it

    async def socket(self, request: Request) -> HTTPResponse | None:
        task = asyncio.current_task()
        assert task is not None
        request.app.websocket_tasks.add(task)  # Sanic cancels these when the server stops
        try:
            response = await self.run(request)
            return response if isinstance(response, HTTPResponse) else None
        except (asyncio.CancelledError, ConnectionClosed, WebsocketClosed):
            if socket := getattr(request.ctx, "socket", None):
                socket.end_connection(1001)
            return None
        finally:
            request.app.websocket_tasks.discard(task)
            if socket := getattr(request.ctx, "socket", None):
                await socket.close()

    # -- HTTP -----------------------------------------------------------------------------------------------------

    async def render_graphql_ide(self, request: Request) -> HTTPResponse:
        return graphiql()

    async def create_streaming_response(
        self,
        request: Request,
        stream: Callable[[], AsyncGenerator[str, None]],
        sub_response: Any,
        headers: Mapping[str, str],
    ) -> Any:
        """A comment goes out at once, for Sanic keeps the head back until the first one; and the stream is closed when
        the client leaves."""
        response = await request.respond(status=sub_response.status_code, headers=dict(headers))
        async with aclosing(stream()) as events:
            await response.send(": open\r\n\r\n")
            async for event in events:
                await response.send(event)
        await response.eof()

    def create_response(self, response_data: Any, sub_response: Any) -> HTTPResponse:
        """A request that was not executed is answered with 400 and without `data` to those who ask for the media type
        of GraphQL over HTTP."""
        response: HTTPResponse = super().create_response(response_data, sub_response)
        if _RESPONSE_JSON not in self.request.headers.get("accept", ""):
            return response
        response.content_type = f"{_RESPONSE_JSON}; charset=utf-8"
        if isinstance(response_data, dict) and response_data.get("data") is None:
            errors = response_data.get("errors") or ()
            if errors and not any(isinstance(error, dict) and error.get("path") for error in errors):
                rest = {key: value for key, value in response_data.items() if key != "data"}
                response.status, response.body = 400, orjson.dumps(rest, default=str)
        return response


class GraphQLHandler:
    """Answers a Sanic request with a view of its own."""

    def __init__(self, engine: Engine, ide: bool) -> None:
        self._engine, self._ide = engine, ide

    async def __call__(self, request: Request) -> HTTPResponse | None:
        view = View(self._engine, self._ide)
        view.request = request
        if view.is_websocket_request(request):
            return await view.socket(request)
        try:
            found: HTTPResponse | None = await view.run(request)
        except InvalidInput as error:
            return json_response({"errors": [graphql_error(error)]}, status=400)
        except HTTPException as error:
            return json_response({"errors": [graphql_error(InvalidInput(error.reason))]}, status=error.status_code)
        return found
