"""Requests with who asked, what was charged and how fast it came; sums by day, model, app and workflow; what was said.

`sums` takes the place of `spend`. Money is text, so that it stays exact; that is why the sums of the requests that are
there are made by a function and not by SQL.
"""

import sqlite3
from datetime import UTC, datetime
from decimal import Decimal


def _sum_up(connection: sqlite3.Connection) -> None:
    sums: dict[tuple[str, str, str, str], list[int | Decimal]] = {}
    for at, provider, model, app, error, counted, cost, *tokens in connection.execute(
        "select at, provider, model, app, error, counted, cost_usd, input, cache_read, cache_write, output "
        "from requests"
    ):
        day = datetime.fromtimestamp(at // 1_000_000, UTC).date().isoformat()
        some = sum(tokens) > 0
        row = [1, bool(error), cost is None and some, not counted and some, *tokens, Decimal(cost or 0)]
        found = sums.get((day, provider, model, app), [0] * len(row))
        sums[day, provider, model, app] = [one + more for one, more in zip(found, row, strict=True)]
    connection.executemany(
        f"insert into sums values ({', '.join('?' * 16)})",
        [
            (day, provider, model, app, "", *row[:-1], str(row[-1]), "0", "0")
            for (day, provider, model, app), row in sums.items()
        ],
    )


STATEMENTS = (
    "alter table requests add column attempts integer not null default 1",
    "alter table requests add column retries integer not null default 0",
    "alter table requests add column key text not null default ''",
    "alter table requests add column app text not null default ''",
    "alter table requests add column agent text not null default ''",
    "alter table requests add column workflow text not null default ''",
    "alter table requests add column token text not null default ''",
    "alter table requests add column price text",
    "alter table requests add column reference_usd text",
    "alter table requests add column tokens_per_s real",
    "alter table requests add column warnings text not null default '[]'",
    "update requests set app = face",
    "create index requests_by_time on requests(at)",
    "create table contents(request text primary key, body text not null) strict, without rowid",
    """
    create table sums(
        day text not null, provider text not null, model text not null, app text not null, workflow text not null,
        requests integer not null, failed integer not null, unpriced integer not null, uncounted integer not null,
        input integer not null, cache_read integer not null, cache_write integer not null, output integer not null,
        cost_usd text not null, reference_usd text not null, compared_usd text not null,
        primary key(day, provider, model, app, workflow)
    ) strict, without rowid
    """,
    _sum_up,
    "drop table spend",
)
