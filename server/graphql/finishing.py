"""What was begun is finished: a client that leaves during a mutation does not undo it, or leave half of it done."""

import asyncio
from typing import Any

from strawberry.extensions.field_extension import AsyncExtensionResolver, FieldExtension
from strawberry.types import Info


class Finishing(FieldExtension):
    """Sanic cancels a handler when its client leaves. The mutation goes on, and the handler ends when it has ended."""

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Info, **arguments: Any) -> Any:
        work = asyncio.ensure_future(next_(source, info, **arguments))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise
