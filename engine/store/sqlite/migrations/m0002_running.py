"""Events in one order over all tokens, with a reason; the status of tokens, the work inside them, their jobs, and the
fields that are looked up.

`position` is the order in which events were stored. A job's `due` counts microseconds since 1970 UTC.
"""

STATEMENTS = (
    "alter table tokens add column status text not null default 'active'",
    "alter table tokens add column running text not null default '{}'",
    """
    update tokens set status = 'completed' where (
        select count(*) = 1 and max(marked.value) = 1 and max(marked.key in (
            select final.value from workflows, json_each(workflows.definition, '$.finalPlaces') as final
            where workflows.id = tokens.workflow
        )) from json_each(tokens.marking) as marked
    )
    """,
    "create index tokens_by_update on tokens(workflow, updated_at)",
    """
    create table ordered_events(
        position integer primary key, token text not null, sequence integer not null, kind text not null,
        transition text, source text, before text, after text not null, data text, at integer not null,
        actor text not null, hash blob not null, reason text not null default '', detail text,
        unique(token, sequence)
    ) strict
    """,
    """
    insert into ordered_events(token, sequence, kind, transition, source, before, after, data, at, actor, hash)
    select token, sequence, kind, transition, source, before, after, data, at, actor, hash
    from events order by at, token, sequence
    """,
    "drop table events",
    "alter table ordered_events rename to events",
    """
    create table jobs(
        token text not null, kind text not null, name text not null, due integer not null, sequence integer not null,
        payload text not null, attempts integer not null, error text not null, state text not null,
        primary key(token, kind, name)
    ) strict, without rowid
    """,
    "create index jobs_by_due on jobs(state, due)",
    """
    create table fields(
        workflow text not null, path text not null, value text not null, token text not null,
        primary key(workflow, path, value, token)
    ) strict, without rowid
    """,
    "create index fields_by_token on fields(token)",
)
