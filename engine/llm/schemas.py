"""Whether an answer is what its JSON schema asks for: not every upstream holds a model to one, and some are only told
of it in words. An answer that is not right is passed on as it is, with a note.

It never sounds a false alarm and never takes long: what cannot be decided so is not looked at
(`engine.llm.schema_check`), and of a schema that is none, or too large, nothing is said.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import orjson

from engine.llm.messages import Chunk, Finished, Noted, TextDelta

MOST_CHARACTERS = 200_000  # of an answer, and of a schema


async def checked(stream: AsyncIterator[Chunk], form: Mapping[str, Any] | None) -> AsyncGenerator[Chunk, None]:
    """The stream, with a note before its end when the answer is not of the form that was asked for: JSON, or JSON of a
    schema (`response_format`). Closing it closes what it reads from."""
    described = (form or {}).get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    said, size = list[str](), 0
    try:
        async for chunk in stream:
            if isinstance(chunk, TextDelta) and size <= MOST_CHARACTERS:
                said.append(chunk.text)
                size += len(chunk.text)
            elif isinstance(chunk, Finished) and chunk.reason == "stop" and size <= MOST_CHARACTERS:
                problem = await asyncio.to_thread(problem_in, "".join(said), schema)
                if problem:
                    yield Noted("mismatch", f"The answer is not of the form that was asked for: {problem}.")
            yield chunk
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


def problem_in(text: str, schema: Any) -> str:
    """The first thing that is wrong with an answer, by its path and with nothing of what it says; empty when nothing
    was found. For a thread: it may take a second."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return "it is no JSON"
    if schema is None:
        return ""
    from engine.llm.schema_check import problem_of  # jsonschema, which nothing else needs

    try:
        written = orjson.dumps(schema)
        return problem_of(value, written) if len(written) <= MOST_CHARACTERS else ""
    except Exception:  # a schema is whatever somebody sends, and the library falls over it in many ways
        return ""
