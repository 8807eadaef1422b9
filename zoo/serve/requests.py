"""The requests that a server takes: their fields, checks of these, and their description as JSON Schema."""

import json
from dataclasses import MISSING, dataclass, fields
from types import NoneType, UnionType
from typing import Any, Self, get_args, get_type_hints

from zoo.checks import brief, nearest
from zoo.vocab import OnUnknown

SCHEMAS: dict[type, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    list: {"type": "array", "items": {}},
    dict: {"type": "object"},
    NoneType: {"type": "null"},
}
MAX_INTEGER = 2**63


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a client asks for."""

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Reads a request.

        Raises:
            SyntaxError: If it is no JSON object.
            ValueError: If a field is unknown, missing, or of a wrong type.
        """
        try:
            values = json.loads(body.decode() or "{}", parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise SyntaxError(f"the body can't be read as JSON: {error}") from error
        if not isinstance(values, dict):
            raise SyntaxError("the body can't be read: expected a JSON object")
        kinds = get_type_hints(cls)
        for name in values:
            if name not in kinds:
                raise ValueError(f"unknown field {brief(name)}{nearest(name, kinds)}")
        if missing := [one.name for one in fields(cls) if one.default is MISSING and one.name not in values]:
            raise ValueError(f"{missing[0]}: missing")
        return cls(**{name: _value(name, value, kinds[name]) for name, value in values.items()})

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """Describes the request as JSON Schema."""
        kinds = get_type_hints(cls)
        properties = {}
        for one in fields(cls):
            any_of = [SCHEMAS[kind] for kind in _alternatives(kinds[one.name])]
            default = {} if one.default is MISSING else {"default": one.default}
            properties[one.name] = {**(any_of[0] if len(any_of) == 1 else {"anyOf": any_of}), **default}
        needed = [one.name for one in fields(cls) if one.default is MISSING]
        return {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            **({"required": needed} if needed else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Generate(Request):
    """Generates a text after a prompt."""

    prompt: str = ""
    length: int = 200
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0
    allowed: str | None = None
    forbidden: str = ""
    stop: list | str | None = None
    seed: int | None = None
    on_unknown: str | None = None


@dataclass(frozen=True, kw_only=True)
class Stream(Generate):
    """Generates a text after a prompt, and sends its symbols as they come."""

    top: int = 0
    state: str | None = None


@dataclass(frozen=True, kw_only=True)
class Read(Request):
    """Reads a text symbol by symbol."""

    text: str
    top: int = 0
    state: str | None = None
    on_unknown: str | None = None


@dataclass(frozen=True, kw_only=True)
class Classify(Request):
    """Classifies sequences; with `steps`, after each of their steps."""

    inputs: list
    steps: bool = False
    on_unknown: str | None = None


@dataclass(frozen=True, kw_only=True)
class Tag(Request):
    """Tags the symbols of texts."""

    texts: list
    on_unknown: str | None = None


@dataclass(frozen=True, kw_only=True)
class Translate(Request):
    """Translates texts."""

    texts: list
    beam: int = 1
    length_penalty: str = "none"
    temperature: float = 0.0
    seed: int | None = None
    alignment: bool = False
    on_unknown: str | None = None


@dataclass(frozen=True, kw_only=True)
class Values(Request):
    """Predicts what follows sequences of numbers."""

    sequences: list


@dataclass(frozen=True, kw_only=True)
class Forecast(Request):
    """Forecasts what follows the last rows of a table: column name -> numbers."""

    table: dict
    times: list | None = None


def on_unknown(value: str | None) -> OnUnknown | None:
    """Returns what to do with unknown symbols.

    Raises:
        ValueError: If there is no such choice.
    """
    if value not in (None, *get_args(OnUnknown)):
        raise ValueError(f"on_unknown: got {brief(value)}, expected one of {', '.join(get_args(OnUnknown))}")
    return value  # type: ignore[return-value]


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)


def _value(name: str, value: Any, kind: Any) -> Any:
    """Returns a value of a type. `true` is no number; a whole number is a float, too."""
    kinds = _alternatives(kind)
    if float in kinds and type(value) is int and abs(value) < MAX_INTEGER:
        return float(value)
    if type(value) not in kinds or (type(value) is int and abs(value) >= MAX_INTEGER):
        expected = " or ".join("null" if one is NoneType else SCHEMAS[one]["type"] for one in kinds)
        raise ValueError(f"{name}: got {brief(value)}, expected {expected}")
    return value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
