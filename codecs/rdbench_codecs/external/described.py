"""What all codecs described in TOML files share: keys, the ladder of rates, and the class made."""

import dataclasses
import functools
import keyword
import re
import shlex
import string
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from rdbench.errors import DataError
from rdbench.types import Codec
from rdbench_codecs.external.programs import find_program

LARGEST = 10**12
"""Largest number of a ladder, and of seconds."""
KEYS: Mapping[str, Any] = {
    **dict.fromkeys(("name", "title"), str),
    "ladder": dict,
    "timeout_s": (int, float),
}
"""Keys of every description, and their types."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Definition:
    """What a TOML file says; equal definitions make the same class.

    Attributes:
        here: folder of the file.
        file, text: the file and its content.
        parameters: name of the rate parameter, or ().
        values: its default ladder.

    The others are keys of the file.
    """

    name: str
    here: str
    title: str = ""
    parameters: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    timeout_s: float = 3600.0
    file: str = dataclasses.field(default="", compare=False)
    text: str = dataclasses.field(default="", compare=False, repr=False)

    @property
    def variable_rate(self) -> bool:
        """Whether one program or one set of weights covers all rates."""
        return True

    def command(self, text: str, **values: Any) -> list[str | Path]:
        """The words of a command with its placeholders filled, its program found."""
        first, *words = (word.format(here=self.here, **values) for word in shlex.split(text))
        return [self.program(first), *words]

    def program(self, name: str) -> Path:
        """Find a program of a command; Unavailable where it is missing."""
        remedy = f"install it, or give its path in the description of {self.name!r}"
        return find_program([name.format(here=self.here)], None, remedy)


class DescribedCodec(Codec):
    """Base of the classes that `made` makes; their one field is the rate parameter."""

    definition: ClassVar[Any]

    def settings(self) -> dict[str, Any]:
        """Name and value of the rate parameter, where there is one."""
        return {name: getattr(self, name) for name in self.rate_parameters}

    def description(self) -> tuple[str, str]:
        """The file and its content."""
        return self.definition.file, self.definition.text

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self).__bases__[0], self.definition, self.settings())


@functools.cache
def made(base: type[DescribedCodec], definition: Definition) -> type[DescribedCodec]:
    """A frozen dataclass; the same one for equal definitions, so that its objects are equal."""
    middle = definition.values[len(definition.values) // 2 :]
    fields = [
        (name, type(middle[0]), dataclasses.field(default=middle[0]))
        for name in definition.parameters
    ]
    title = definition.title or definition.name
    namespace = {
        "__doc__": title,
        "definition": definition,
        "name": definition.name,
        "title": title,
        "rate_parameters": definition.parameters,
        "ladder_values": definition.values,
        "variable_rate": definition.variable_rate,
    }
    name = re.sub(r"\W", "_", definition.name.title())
    return dataclasses.make_dataclass(name, fields, bases=(base,), namespace=namespace, frozen=True)


def _rebuilt(
    base: type[DescribedCodec], definition: Definition, values: Mapping[str, Any]
) -> DescribedCodec:
    return made(base, definition)(**values)


def require(condition: Any, failure: str) -> None:
    """DataError with ``failure`` unless the condition holds."""
    if not condition:
        raise DataError(failure)


def check_keys(keys: Mapping[str, Any], needed: Iterable[str], kinds: Mapping[str, Any]) -> None:
    """DataError where a key is missing, unknown, empty or of the wrong type."""
    for key in needed:
        require(key in keys, f"the key {key!r} is missing; add it")
    for key, value in keys.items():
        require(key in kinds, f"unknown key {key!r}; known are {', '.join(kinds)}")
        fits = isinstance(value, kinds[key]) and value and not isinstance(value, bool)
        words = {str: "a text", dict: "a table", list: "a list"}.get(kinds[key], "a number")
        require(fits, f"{key}={value!r} is empty or of the wrong type; give {words}")
    limit = f"timeout_s must be over 0 and at most {LARGEST:g}"
    require(0 < keys.get("timeout_s", 1) <= LARGEST, limit)
    is_name = re.fullmatch(r"[\w.+-]+", keys["name"])
    require(is_name, f"name {keys['name']!r} may have letters, digits and . + - _ only")


def ladder_of(
    table: Mapping[str, Any], taken: Iterable[str]
) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Name and values of the rate parameter, where there is one; it must not be in ``taken``."""
    if not table:
        return (), ()
    (parameter, values), *more = table.items()
    are_numbers = isinstance(values, list) and all(type(v) in (int, float) for v in values)
    require(
        values and are_numbers and not more,
        "ladder must give one parameter numbers: ladder = {quality = [10, 50]}",
    )
    is_word = parameter.isidentifier() and parameter.isascii() and not keyword.iskeyword(parameter)
    require(
        is_word and parameter not in {*taken, *dir(DescribedCodec), "name", "title"},
        f"the rate parameter cannot be called {parameter!r}; give it another name",
    )
    require(
        all(abs(value) <= LARGEST for value in values),  # False for NaN
        f"a number of the ladder is not finite, or larger than {LARGEST:g}",
    )
    number = float if float in map(type, values) else int
    return (parameter,), tuple(map(number, values))


def check_command(
    key: str, text: str, needed: Mapping[str, Any], optional: Mapping[str, Any]
) -> None:
    """DataError where a command cannot be split or filled, or lacks a placeholder it must have.

    ``needed`` and ``optional`` give a value of each placeholder.
    """
    values = {**needed, **optional}
    require("\0" not in text, f"{key} holds a zero byte, which no command can; remove it")
    try:
        words = shlex.split(text)
        parts = [[*string.Formatter().parse(word)] for word in words]
        used = [
            (name, form or "") for word in parts for _, name, form, _ in word if name is not None
        ]
        names = {name for name, _ in used}
        for name in sorted(names - {*values}):
            listed = ", ".join(f"{{{known}}}" for known in sorted(values))
            raise DataError(f"{key} cannot use {{{name}}}; it can use {listed}")
        for name in sorted({*needed} - names):
            raise DataError(f"{key} does not use {{{name}}}; add it")
        for name, form in used:
            is_short = not re.search(r"\{|\d{3}", form)
            require(is_short, f"{key}: the format {form!r} of {{{name}}} is over two digits wide")
        for _, program, _, _ in parts[0] if parts else ():
            is_known = program in (None, "here")
            require(is_known, f"{key}: its program cannot be {{{program}}}; name a program")
        for word in words:
            word.format(**values)
    except ValueError as error:
        raise DataError(f"{key}: {error}; correct the command") from None
