"""What is copied: as it reads, or as the Markdown it came from. Pure."""

from app.widgets.transcript.document import Document, Point
from app.widgets.transcript.markdown import outside_markup, source_offsets

PLAIN_LIMIT = 100_000
"""Characters; more is copied as Markdown, because laying it out only to copy it would stall the screen."""


def plain(document: Document, low: Point, high: Point) -> str:
    """What is between two points as it reads. Folded code comes with it; folded thinking does not."""
    span = range(low.message, min(high.message + 1, len(document.entries)))
    if sum(len(document.entries[index].message.text) for index in span) > PLAIN_LIMIT:
        return markdown(document, low, high)
    parts: list[str] = []
    for index in span:
        for number, block in enumerate(document.opened(index).blocks):
            if not low[:2] <= (index, number) <= high[:2]:
                continue
            if block.thought and document.entries[index].folded(block):
                continue
            text = document.unfolded(index, number).text
            start = max(0, low.at) if (index, number) == low[:2] else 0
            stop = max(0, high.at) if (index, number) == high[:2] else None
            parts += [""] * (block.gap and bool(parts)) + [text[start:stop]]
    return "\n".join(parts)


def plain_message(document: Document, index: int) -> str:
    """A message as it reads, without its title, thinking and meta."""
    numbers = [number for number, _ in document.opened(index).said()]
    if not numbers:
        return ""
    return plain(
        document, Point(index, numbers[0]), Point(index, numbers[-1], len(document.entries[index].message.text))
    )


def markdown(document: Document, low: Point, high: Point) -> str:
    """The source between two points with the markup around it. Several messages come under their titles."""
    parts: list[str] = []
    for index in range(low.message, min(high.message + 1, len(document.entries))):
        message = document.entries[index].message
        start = _source(document, low, end=False) if index == low.message else 0
        stop = _source(document, high, end=True) if index == high.message else len(message.text)
        title = f"**{message.name}**\n\n" if high.message > low.message and start == 0 else ""
        parts += [title + message.text[start:stop].strip("\n")] if stop > start else []
    return "\n\n".join(parts)


def _source(document: Document, point: Point, *, end: bool) -> int:
    """Where in the Markdown of its message a point is; at the edge of a block or of marked text, outside the markup."""
    entry = document.opened(point.message)
    number = min(point.block, len(entry.blocks) - 1)
    block = entry.blocks[number]
    if block.kind == "meta":
        return len(entry.message.text)
    if block.kind in ("title", "thinking") or block.thought:
        return 0
    text = document.unfolded(point.message, number).text
    if point.at <= 0 or point.at >= len(text):
        return block.start if point.at <= 0 else block.end
    base, source = entry.source(block)
    offsets = source_offsets(source, text)
    edge = offsets[point.at - 1] + 1 if end else offsets[point.at]
    return base + (outside_markup(source, edge, end=end) if block.kind == "text" else edge)
