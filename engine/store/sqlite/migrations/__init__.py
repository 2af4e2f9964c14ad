"""Numbered steps; the position of a step, from 1, is the `user_version` it leads to. Steps are only ever added.

A statement is SQL, or a function of the connection for what SQL cannot do, such as adding exact decimals.
"""

import sqlite3
from collections.abc import Callable
from typing import TypeAlias

from engine.store.sqlite.migrations import m0001_foundation, m0002_running, m0003_spending

Statement: TypeAlias = str | Callable[[sqlite3.Connection], None]

STEPS: tuple[tuple[Statement, ...], ...] = (
    m0001_foundation.STATEMENTS,
    m0002_running.STATEMENTS,
    m0003_spending.STATEMENTS,
)
