"""Workflows, tokens, histories, documents and the request log.

Times are microseconds since 1970 UTC. Ids are ULIDs, in order of time, so that new rows go to the end of each tree.
`counts` and `spend` are kept in the transaction that moves them: no screen ever counts or sums the rows.
"""

STATEMENTS = (
    """
    create table workflows(
        id text primary key, slug text not null, version integer not null, definition text not null,
        digest blob not null, created_at integer not null, unique(slug, version)
    ) strict
    """,
    """
    create table tokens(
        id text primary key, workflow text not null references workflows(id), state text not null,
        marking text not null, data text not null, metadata text not null, version integer not null,
        created_at integer not null, updated_at integer not null, head blob not null
    ) strict, without rowid
    """,
    "create index tokens_by_state on tokens(workflow, state, id)",
    "create index tokens_by_workflow on tokens(workflow, id)",
    """
    create table events(
        token text not null, sequence integer not null, kind text not null, transition text, source text,
        before text, after text not null, data text, at integer not null, actor text not null, hash blob not null,
        primary key(token, sequence)
    ) strict, without rowid
    """,
    """
    create table counts(
        workflow text not null, state text not null, tokens integer not null, primary key(workflow, state)
    ) strict, without rowid
    """,
    "create table once(key text primary key, fingerprint blob not null, token text not null) strict, without rowid",
    """
    create table documents(
        kind text not null, parent text not null, id text not null, body text not null, primary key(kind, parent, id)
    ) strict, without rowid
    """,
    """
    create table requests(
        id text primary key, at integer not null, face text not null, asked text not null, provider text not null,
        model text not null, input integer not null, cache_read integer not null, cache_write integer not null,
        output integer not null, counted integer not null, cost_usd text, ttft_s real, duration_s real not null,
        error text not null, decision text not null
    ) strict, without rowid
    """,
    """
    create table spend(
        day text primary key, requests integer not null, unpriced integer not null, cost_usd text not null
    ) strict, without rowid
    """,
)
