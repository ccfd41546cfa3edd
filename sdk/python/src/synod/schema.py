"""Turns payload dataclasses into plain maps and back, by the annotations of their fields.

One set of rules serves both ways: what is read is checked, and what is written is checked by reading it.
A dataclass with a `TAG` is a variant of an enum; with `NEWTYPE` its only field stands for it on the wire.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final
from uuid import UUID

from . import limits
from .errors import Code, ProtocolError

Reader = Callable[[Any, str], Any]


@dataclass(frozen=True, slots=True)
class Range:
    """Smallest and largest number."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Size:
    """How many entries, or bytes of a text, there may be."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Plain:
    """A text without control characters."""


@dataclass(frozen=True, slots=True)
class Unique:
    """Each entry stands once."""


@dataclass(frozen=True, slots=True)
class Anything:
    """The user's own value."""


U8 = Annotated[int, Range(0, limits.U8_MAX)]
U32 = Annotated[int, Range(0, limits.U32_MAX)]
U64 = Annotated[int, Range(0, limits.U64_MAX)]
I64 = Annotated[int, Range(limits.I64_MIN, limits.I64_MAX)]
Share = Annotated[float, Range(0, 1)]
Name = Annotated[str, Size(1, limits.NAME_BYTES), Plain()]
Text = Annotated[str, Size(0, limits.TEXT_BYTES)]
Names = Annotated[list[Name], Size(0, limits.NAMES)]
Labels = Annotated[dict[Name, Name], Size(0, limits.LABELS)]
Value = Annotated[Any, Anything()]

NUMBERS: Final = (limits.I64_MIN, limits.U64_MAX)


def write(value: Any) -> Any:
    """Turns a dataclass into maps, lists and scalars; identities stay `UUID`, and what is none or empty is left out."""
    match value:
        case Enum():
            return value.value
        case list() | tuple():
            return [write(one) for one in value]
        case Mapping():
            return {key: write(one) for key, one in value.items()}
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    tag = getattr(value, "TAG", None)
    if getattr(value, "NEWTYPE", False):
        return {tag: write(getattr(value, dataclasses.fields(value)[0].name))}
    fields = {}
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name)
        if not _left_out(field, inner):
            fields[field.name.rstrip("_")] = write(inner)
    if tag is None:
        return fields
    return {tag: fields} if dataclasses.fields(value) else tag


def checked(kind: Any, value: Any, where: str) -> Any:
    """Turns a dataclass into maps after checking it against the type.

    Raises `ProtocolError` where it breaks a rule.
    """
    try:
        plain = write(value)
        read(kind, plain, where)
    except RecursionError:
        raise refuse(where, "lists and maps are too deep, or within themselves", "make it flatter", Code.TOO_LARGE) from None
    return plain


def read(kind: Any, plain: Any, where: str) -> Any:
    """Makes a value of the type out of maps, lists and scalars.

    Raises `ProtocolError` where they break a rule.
    """
    return reader(kind)(plain, where)


@cache
def reader(kind: Any) -> Reader:
    """The function that reads one type."""
    origin = typing.get_origin(kind)
    if origin is Annotated:
        inner, *rules = typing.get_args(kind)
        return _value if Anything() in rules else _ruled(reader(inner), rules)
    if origin in (types.UnionType, typing.Union):
        return _union(typing.get_args(kind))
    if origin is list:
        return _list(reader(typing.get_args(kind)[0]))
    if origin is dict:
        return _map(*(reader(inner) for inner in typing.get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum(kind)
    if dataclasses.is_dataclass(kind):
        return _union((kind,)) if hasattr(kind, "TAG") else _fields(kind)
    return {int: _int, float: _float, str: _str, bool: _bool, bytes: _bytes, UUID: _uuid}[kind]


def refuse(where: str, what: str, advice: str, code: Code = Code.INVALID) -> ProtocolError:
    """A refusal of one place in a payload."""
    return ProtocolError(code, where, what, advice)


def _left_out(field: "dataclasses.Field[Any]", value: Any) -> bool:
    """Whether the field may be absent, and its default, none or empty, is its value."""
    if _made(field) or field.default == "":
        return len(value) == 0
    return field.default is None and value is None


def _made(field: "dataclasses.Field[Any]") -> bool:
    return field.default_factory is not dataclasses.MISSING


def _word(value: Any) -> str:
    return "none" if value is None else f"a {type(value).__name__}"


def _expect(value: Any, kind: type | tuple[type, ...], where: str, word: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise refuse(where, f"{word} is expected, and {_word(value)} is given", f"give {word}")
    return value


def _int(value: Any, where: str) -> int:
    return int(_expect(value, int, where, "an integer"))


def _float(value: Any, where: str) -> float:
    number = float(_expect(value, (int, float), where, "a number"))
    if not math.isfinite(number):
        raise refuse(where, "the number is not finite", "give a finite one")
    return number


def _str(value: Any, where: str) -> str:
    return str(_expect(value, str, where, "a text"))


def _bool(value: Any, where: str) -> bool:
    return bool(_expect(value, bool, where, "true or false"))


def _bytes(value: Any, where: str) -> bytes:
    if isinstance(value, str):
        try:
            return bytes.fromhex(value) if " " not in value else _expect(value, bytes, where, "binary data")
        except ValueError:
            raise refuse(where, "the text is not hexadecimal", "give two digits a byte") from None
    return bytes(_expect(value, bytes, where, "binary data"))


def _uuid(value: Any, where: str) -> UUID:
    if isinstance(value, UUID):
        return value
    if isinstance(value, bytes) and len(value) == 16:
        return UUID(bytes=value)
    text = _expect(value, str, where, "an identity")
    try:
        found = UUID(text)
    except ValueError:
        found = None
    if found is None or str(found) != text.lower():
        raise refuse(where, "the text is no identity", "write it in the form 8-4-4-4-12")
    return found


def _value(value: Any, where: str) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int():
            if not NUMBERS[0] <= value <= NUMBERS[1]:
                raise refuse(where, "the number has more than 64 bits", "give it as a text")
            return value
        case float():
            return _float(value, where)
        case list():
            return [_value(one, f"{where}[{at}]") for at, one in enumerate(value)]
        case dict():
            return {_str(key, f"{where} (key)"): _value(one, f"{where}.{key}") for key, one in value.items()}
    raise refuse(where, f"a value holds no {type(value).__name__}", "give null, bool, number, text, list or map")


def _ruled(inner: Reader, rules: list[Any]) -> Reader:
    def ruled(value: Any, where: str) -> Any:
        found = inner(value, where)
        for rule in rules:
            _obey(rule, found, where)
        return found

    return ruled


def _obey(rule: Any, value: Any, where: str) -> None:
    match rule:
        case Range(low, high) if not low <= value <= high:
            raise refuse(where, f"{value} is not in {low} to {high}", "give a number in this range")
        case Size(low, high):
            size = len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else len(value)
            unit = "bytes" if isinstance(value, str) else "entries"
            if size > high:
                raise refuse(where, f"{size} {unit}, and {high} are the limit", "make it smaller", Code.TOO_LARGE)
            if size < low:
                raise refuse(where, f"{size} {unit}, and {low} are the least", "give more")
        case Plain() if any(ord(char) < 32 or 127 <= ord(char) < 160 for char in value):
            raise refuse(where, "a control character is in the name", "leave it out")
        case Unique() if len(set(value)) != len(value):
            raise refuse(where, "an entry stands twice", "give each once")


def _list(inner: Reader) -> Reader:
    def items(value: Any, where: str) -> list[Any]:
        return [inner(one, f"{where}[{at}]") for at, one in enumerate(_expect(value, list, where, "a list"))]

    return items


def _map(key: Reader, inner: Reader) -> Reader:
    def entries(value: Any, where: str) -> dict[Any, Any]:
        found = _expect(value, dict, where, "a map")
        return {key(name, f"{where} (key)"): inner(one, f"{where}.{name}") for name, one in found.items()}

    return entries


def _enum(kind: type[Enum]) -> Reader:
    words = {word.value: word for word in kind}

    def word(value: Any, where: str) -> Enum:
        found = words.get(_str(value, where))
        if found is None:
            raise refuse(where, f"{value!r} is not known", f"give one of {', '.join(words)}")
        return found

    return word


def _fields(kind: Any) -> Reader:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = [(field.name, field.name.rstrip("_"), reader(hints[field.name]), _optional(field)) for field in dataclasses.fields(kind)]

    def record(value: Any, where: str) -> Any:
        found, given = _expect(value, dict, where, "a map"), {}
        for name, word, inner, optional in fields:
            if word in found:
                given[name] = inner(found[word], f"{where}.{word}")
            elif not optional:
                raise refuse(where, f"the field {word} is missing", "give it")
        return kind(**given)

    return record


def _optional(field: "dataclasses.Field[Any]") -> bool:
    return field.default is not dataclasses.MISSING or _made(field)


def _union(kinds: tuple[Any, ...]) -> Reader:
    if type(None) in kinds:
        rest = tuple(kind for kind in kinds if kind is not type(None))
        inner = _union(rest) if len(rest) > 1 else reader(rest[0])
        return lambda value, where: None if value is None else inner(value, where)
    variants = {kind.TAG: _variant(kind) for kind in kinds}

    def variant(value: Any, where: str) -> Any:
        if isinstance(value, dict) and len(value) != 1:
            raise refuse(where, f"{len(value)} keys where one names the variant", "give one")
        tag, inner = next(iter(value.items())) if isinstance(value, dict) else (_str(value, where), None)
        if tag not in variants:
            raise refuse(where, f"the variant {tag!r} is not known", f"give one of {', '.join(variants)}", Code.NOT_SUPPORTED)
        return variants[tag](inner, f"{where}.{tag}")

    return variant


def _variant(kind: Any) -> Reader:
    fields = dataclasses.fields(kind)
    if getattr(kind, "NEWTYPE", False):
        inner = reader(typing.get_type_hints(kind, include_extras=True)[fields[0].name])
        return lambda value, where: kind(inner(value, where))
    record = _fields(kind)
    optional = all(_optional(field) for field in fields)
    return lambda value, where: record({} if value is None and optional else value, where)
