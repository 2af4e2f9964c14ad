"""One object of a source: its fields by any of their names, in camel or snake case, each checked.

Every error names the path of what is wrong, as in `transitions[0].toState`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.kernel.errors import InvalidInput, nearest, shown
from engine.nets.notation.definition import MOST_CHARACTERS, MOST_PLACES, MOST_SECONDS, MOST_WEIGHT
from engine.rules.values import brief


class Fields:
    """One object of the source: looks up fields by any of their names, in camel or snake case."""

    def __init__(self, source: object, path: str, known: Sequence[str]) -> None:
        self._path = path
        if not isinstance(source, Mapping):
            raise InvalidInput(f"{path or 'The workflow'} is not an object.", details={"path": path})
        self._values: dict[str, Any] = {}
        for name, value in source.items():
            key = camel(str(name))
            if key in self._values:
                raise InvalidInput(
                    f"{self.at(key)} is given twice, in camel and in snake case.",
                    fix="Keep one.",
                    details={"path": self.at(key)},
                )
            self._values[key] = value
            if key not in known:
                close = nearest(key, known)
                raise InvalidInput(
                    f"{self.at(key)} is not a field that is known here.",
                    why=f"Did you mean {close[0]}?" if close else "",
                    fix=f"Known are {', '.join(known)}.",
                    details={"path": self.at(key), "nearest": close},
                )

    def at(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def value(self, *keys: str) -> Any:
        given = [key for key in keys if self._values.get(key) is not None]
        if len(given) > 1:
            raise InvalidInput(
                f"{self.at(given[0])} and {given[1]} are both given.",
                why="They are two words for one thing.",
                fix="Keep one.",
                details={"path": self.at(given[1])},
            )
        return self._values[given[0]] if given else None

    def text(self, *keys: str, default: str | None = None, limit: int = MOST_CHARACTERS) -> str:
        value = self.value(*keys)
        if default is not None and (value is None or value == ""):
            return default
        if value is None:
            raise InvalidInput(f"{self.at(keys[0])} is missing.", fix="Add it.", details={"path": self.at(keys[0])})
        return checked(value, self.at(keys[0]), limit)

    def count(self, key: str, *, least: int, default: int | None = None) -> int:
        value = self.value(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST_WEIGHT:
            raise InvalidInput(
                f"{self.at(key)} is {brief(value)}.",
                fix=f"Give a whole number from {least} to {MOST_WEIGHT}.",
                details={"path": self.at(key)},
            )
        return value

    def seconds(self, key: str) -> float | None:
        """A time span, or None when it is not given."""
        value = self.value(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_SECONDS:
            raise InvalidInput(
                f"{self.at(key)} is {brief(value)}.",
                fix="Give a number of seconds, from 0 to a hundred years.",
                details={"path": self.at(key)},
            )
        return value

    def flag(self, key: str) -> bool:
        value = self.value(key)
        if value is not None and not isinstance(value, bool):
            raise InvalidInput(
                f"{self.at(key)} is {brief(value)}.",
                fix="Give true or false.",
                details={"path": self.at(key)},
            )
        return bool(value)

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self.value(key)
        if value is not None and not isinstance(value, Mapping):
            raise InvalidInput(f"{self.at(key)} is not an object.", details={"path": self.at(key)})
        return value or {}

    def sequence(self, *keys: str, most: int) -> list[tuple[str, Any]]:
        """The items of a list with the path of each."""
        value = self.value(*keys)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise InvalidInput(f"{self.at(keys[0])} is not a list.", details={"path": self.at(keys[0])})
        if len(value) > most:
            raise InvalidInput(
                f"{self.at(keys[0])} has {len(value)} items.",
                why=f"At most {most} are taken.",
                fix="Cut it into smaller ones.",
                details={"path": self.at(keys[0])},
            )
        return [(f"{self.at(keys[0])}[{number}]", item) for number, item in enumerate(value)]

    def names(self, *keys: str, limit: int = MOST_CHARACTERS, most: int = MOST_PLACES) -> tuple[str, ...] | None:
        """A list of names, or None when it is not given; one name alone is taken as a list of one."""
        value = self.value(*keys)
        if value is None:
            return None
        if isinstance(value, str):
            return (checked(value, self.at(keys[0]), limit),)
        return tuple(checked(item, path, limit) for path, item in self.sequence(*keys, most=most))


def checked(value: object, path: str, limit: int = MOST_CHARACTERS) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{path} is not a text.", fix="Give a text.", details={"path": path})
    if not value.strip() or len(value) > limit:
        problem = "is empty" if not value.strip() else f"has {len(value)} characters"
        raise InvalidInput(f"{path} {problem}.", fix=f"Give 1 to {limit} characters.", details={"path": path})
    if not value.isprintable() and limit == MOST_CHARACTERS:
        raise InvalidInput(f"{path} {shown(value)} has characters that cannot be shown.", details={"path": path})
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{path} is not valid Unicode.", why=str(error), details={"path": path}) from None
    return value


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)
