"""Documents in SQLite."""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from engine.store import codec
from engine.store.ports import Document
from engine.store.sqlite.database import Database


class SqliteShelf:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, kind: str, id: str, body: Mapping[str, Any], *, parent: str = "") -> None:
        row = (kind, parent, id, codec.dumps(dict(body)))

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("insert or replace into documents(kind, parent, id, body) values (?, ?, ?, ?)", row)

        await self._database.write(write)

    async def get(self, kind: str, id: str, *, parent: str = "") -> Mapping[str, Any] | None:
        rows = await self._database.read(
            "select body from documents where kind = ? and parent = ? and id = ?", (kind, parent, id)
        )
        return codec.loads(rows[0][0]) if rows else None

    async def list(
        self, kind: str, *, parent: str = "", newest: bool = False, limit: int = 1000
    ) -> Sequence[tuple[str, Mapping[str, Any]]]:
        order = "desc" if newest else "asc"
        rows = await self._database.read(
            f"select id, body from documents where kind = ? and parent = ? order by id {order} limit ?",
            (kind, parent, limit),
        )
        return [(id, codec.loads(body)) for id, body in rows]

    async def delete(self, kind: str, id: str, *, children: str = "") -> bool:
        def write(connection: sqlite3.Connection) -> bool:
            connection.execute("delete from documents where kind = ? and parent = ?", (children, id))
            gone = connection.execute("delete from documents where kind = ? and parent = '' and id = ?", (kind, id))
            return gone.rowcount > 0

        return await self._database.write(write)

    async def every(self) -> AsyncIterator[Document]:
        after: tuple[str, str, str] = ("", "", "")
        while True:
            page = await self._database.read(
                "select kind, parent, id, body from documents where (kind, parent, id) > (?, ?, ?) "
                "order by kind, parent, id limit 200",
                after,
            )
            for kind, parent, id, body in page:
                yield Document(kind, parent, id, codec.loads(body))
            if not page:
                return
            after = page[-1][:3]
