"""Records behave as frozen dataclasses do, but for what the type checker alone refuses."""

import copy
import pickle
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import pytest

from engine.kernel.records import record


@record
class Point:
    x: int
    y: int = 2
    note: str = field(default="", compare=False, repr=False)
    tags: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Frozen:
    x: int
    y: int = 2
    note: str = field(default="", compare=False, repr=False)
    tags: tuple[str, ...] = field(default_factory=tuple)


@record
class Other:
    x: int
    y: int = 2
    tags: tuple[str, ...] = ()


@record
class Empty:
    pass


@record
class Holder:
    """Holds."""

    held: Any = None


def test_a_record_shows_itself_as_a_dataclass_does() -> None:
    assert repr(Point(1, tags=("a",))) == repr(Frozen(1, tags=("a",))).replace("Frozen", "Point")
    itself = Holder()
    itself.held = [itself]  # type: ignore[misc]
    assert repr(itself) == "Holder(held=[...])"


def test_records_are_equal_by_class_and_the_fields_that_count() -> None:
    assert Point(1, note="a") == Point(1, note="b")
    assert hash(Point(1, note="a")) == hash(Point(1, note="b"))
    assert Point(1) != Point(2)
    assert Point(1) != Other(1)
    assert Point(1) != (1, 2, ())
    assert Empty() == Empty()
    assert len({Point(1), Point(1), Point(3), Empty(), Empty()}) == 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(Holder({}))


def test_what_works_on_dataclasses_works_on_records() -> None:
    point = Point(1, tags=("a",))
    assert replace(point, y=5) == Point(1, 5, tags=("a",))  # type: ignore[type-var]
    assert asdict(point) == asdict(Frozen(1, tags=("a",)))  # type: ignore[call-overload]
    assert [one.name for one in fields(point)] == ["x", "y", "note", "tags"]  # type: ignore[arg-type]
    assert pickle.loads(pickle.dumps(point)) == copy.deepcopy(point) == point
    match point:
        case Point(1, y):
            assert y == 2
        case _:
            raise AssertionError
    with pytest.raises(AttributeError):
        point.z = 1  # type: ignore[attr-defined]


def test_a_method_that_the_class_has_stays() -> None:
    @record
    class Named:
        name: str

        def __repr__(self) -> str:
            return self.name

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Named) and other.name.casefold() == self.name.casefold()

        def __hash__(self) -> int:
            return 7

    assert (repr(Named("a")), Named("a"), hash(Named("a"))) == ("a", Named("A"), 7)
