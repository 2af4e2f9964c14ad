"""Numbered steps; the position of a step, from 1, is the `user_version` it leads to. Steps are only ever added."""

from engine.store.sqlite.migrations import m0001_foundation, m0002_running

STEPS: tuple[tuple[str, ...], ...] = (m0001_foundation.STATEMENTS, m0002_running.STATEMENTS)
