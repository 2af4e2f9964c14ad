"""The jobs in SQLite; changes put and end them, see `ledger`."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime

from engine.jobs.model import Job
from engine.kernel.instants import microseconds, moment
from engine.store.sqlite.database import Database
from engine.store.sqlite.rows import JOB, job_of, job_row
from engine.store.sqlite.statements import batched


class SqliteJobs:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, at: datetime, limit: int) -> Sequence[Job]:
        rows = await self._database.read(
            f"select {JOB} from jobs where state = 'queued' and due <= ? order by due, token, name limit ?",
            (microseconds(at), limit),
        )
        return [job_of(row) for row in rows]

    async def next_due(self) -> datetime | None:
        rows = await self._database.read("select min(due) from jobs where state = 'queued'")
        return None if rows[0][0] is None else moment(rows[0][0])

    async def put_back(self, job: Job) -> None:
        row = job_row(job)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "update jobs set due = ?, attempts = ?, error = ?, state = ? "
                "where token = ? and kind = ? and name = ? and sequence = ?",
                (row[3], row[6], row[7], row[8], *job.key, job.sequence),
            )

        await self._database.write(write)

    async def finish(self, job: Job) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "delete from jobs where token = ? and kind = ? and name = ? and sequence = ?", (*job.key, job.sequence)
            )

        await self._database.write(write)

    async def of(self, token_ids: Sequence[str]) -> Mapping[str, Sequence[Job]]:
        found: dict[str, list[Job]] = {token: [] for token in token_ids}
        for some in batched(list(found)):
            wanted = ", ".join("?" * len(some))
            rows = await self._database.read(
                f"select {JOB} from jobs where token in ({wanted}) order by due, name", some
            )
            for row in rows:
                found[row[0]].append(job_of(row))
        return found

    async def dead(self, limit: int = 50) -> Sequence[Job]:
        rows = await self._database.read(f"select {JOB} from jobs where state = 'dead' order by due limit ?", (limit,))
        return [job_of(row) for row in rows]
