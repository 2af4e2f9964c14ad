"""The tree of an expression. Every node has the `text` it was read from, so that an answer can speak of it."""

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    """A whole number of 64 bits, a finite double, a text, true, false or null."""

    text: str
    value: Any


@dataclass(frozen=True, slots=True)
class Field:
    """A dotted path, looked up as `engine.rules.fields` says."""

    text: str
    path: str


@dataclass(frozen=True, slots=True)
class Item:
    """`of[key]`, or `of.key` with a literal key."""

    text: str
    of: "Node"
    key: "Node"


@dataclass(frozen=True, slots=True)
class Items:
    """`[1, x, "a"]`."""

    text: str
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Operators of one precedence, from left to right: `a + b - c`. Flat, so that a long one is not a deep one."""

    text: str
    first: "Node"
    rest: tuple[tuple[str, "Node"], ...]


@dataclass(frozen=True, slots=True)
class Negative:
    text: str
    of: "Node"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`sign` is one of == != < <= > >= in."""

    text: str
    sign: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Every:
    """`a && b && c`."""

    text: str
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """`a || b || c`."""

    text: str
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Opposite:
    """`!a`."""

    text: str
    of: "Node"


@dataclass(frozen=True, slots=True)
class Choice:
    """`test ? yes : no`."""

    text: str
    test: "Node"
    yes: "Node"
    no: "Node"


@dataclass(frozen=True, slots=True)
class Has:
    """`has(field)`."""

    text: str
    of: "Node"


@dataclass(frozen=True, slots=True)
class Call:
    """`size(x)` or `x.size()`: of a method the receiver is the first argument."""

    text: str
    name: str
    arguments: tuple["Node", ...]


Node: TypeAlias = (
    Literal | Field | Item | Items | Chain | Negative | Comparison | Every | Some | Opposite | Choice | Has | Call
)


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole expression; `nodes` is how many it has, which bounds the steps of an evaluation."""

    root: Node
    nodes: int
