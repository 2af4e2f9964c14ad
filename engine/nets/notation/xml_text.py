"""XML, read into a tree that knows its lines. A document type is refused, and with it every entity: nothing is fetched
(XXE), nothing expands ("billion laughs"); what is left is bounded by the length of the text."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from engine.kernel.errors import InvalidInput, shown
from engine.nets.notation.marks import MOST_VALUES, malformed, too_many_values

_MOST_DEPTH = 100


@dataclass(slots=True)
class Element:
    """`tag` and the names of `attributes` are without their namespaces; `at` is an offset of the text in bytes."""

    tag: str
    attributes: dict[str, str]
    at: int
    children: "list[Element]" = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces).strip()

    @property
    def id(self) -> str:
        return self.attributes.get("id", "")

    def all(self, *tags: str) -> "Iterator[Element]":
        return (child for child in self.children if child.tag in tags)

    def first(self, *tags: str) -> "Element | None":
        return next(self.all(*tags), None)


@dataclass(frozen=True, slots=True)
class Document:
    text: str
    root: Element

    def offset(self, element: Element) -> int:
        """Where `element` begins, in characters."""
        return len(self.text.encode()[: element.at].decode(errors="ignore"))

    def error(self, element: Element, problem: str, *, why: str = "", fix: str = "") -> InvalidInput:
        """The error for what is wrong with `element`."""
        name = f" {shown(element.id)}" if element.id else ""
        told = malformed(self.text, self.offset(element), f"<{element.tag}>{name} {problem}", why=why, fix=fix)
        told.details["element"] = element.tag
        return told


def read_xml(text: str) -> Document:
    """The tree of `text`. Raises InvalidInput with line and column, TooLarge."""
    parser = expat.ParserCreate("UTF-8", " ")
    parser.buffer_text = True
    open_: list[Element] = []
    roots: list[Element] = []
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > MOST_VALUES:
            raise too_many_values()
        element = Element(
            _local(name), {_local(key): value for key, value in attributes.items()}, parser.CurrentByteIndex
        )
        if len(open_) >= _MOST_DEPTH:
            raise Document(text, element).error(element, f"is nested more than {_MOST_DEPTH} deep.", fix="Flatten it.")
        (open_[-1].children if open_ else roots).append(element)
        open_.append(element)

    def refuse(*_: object) -> None:
        at = len(text.encode()[: parser.CurrentByteIndex].decode(errors="ignore"))
        raise malformed(
            text,
            at,
            "the file has a document type.",
            why="Entities in it could read other files or grow without end, so none are taken.",
            fix="Take <!DOCTYPE ...> out.",
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: open_.pop()
    parser.CharacterDataHandler = lambda data: open_[-1].pieces.append(data)
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        at = len(text.encode()[: parser.ErrorByteIndex].decode(errors="ignore"))
        raise malformed(text, at, f"this is no XML: {expat.ErrorString(error.code)}.") from None
    return Document(text, roots[0])


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
