"""What a datamodule is, in a few lines."""

import inspect
import reprlib
from typing import TYPE_CHECKING, Any

import lightning as L

if TYPE_CHECKING:
    from datamodules.base import SequenceData

SHOWN_SOURCES = 3


def describe(data: "SequenceData") -> str:
    """Returns the arguments that are not the default, and after `setup` the parts, facts and sources."""
    name = f"{type(data).__name__}({', '.join(f'{key}={reprlib.repr(value)}' for key, value in _given(data).items())})"
    if not vars(data).get("parts"):
        return f"{name}\n  before setup"
    parts = ", ".join(f"{part} {len(examples):,}" for part, examples in data.parts.items())
    lines = [name, f"parts: {parts}, in batches of {data.batch_size}"]
    facts = [f"{key} {_short(value)}" for key, value in data.spec.items() if value is not None]
    sources = [f"{source} (SHA-256 {digest[:8]}...)" for source, digest in data.sources.items()]
    lines += [f"facts: {', '.join(facts)}"] if facts else []
    more = [f"and {len(sources) - SHOWN_SOURCES} more"] if len(sources) > SHOWN_SOURCES else []
    lines += [f"sources: {', '.join([*sources[:SHOWN_SOURCES], *more])}"] if sources else []
    return "\n  ".join(lines)


def _given(data: "SequenceData") -> dict[str, Any]:
    """Returns the arguments of a datamodule that are not the default, as far as its attributes have their names."""
    defaults: dict[str, Any] = {}
    for cls in type(data).__mro__[: type(data).__mro__.index(L.LightningDataModule)]:
        for name, entry in inspect.signature(cls).parameters.items():
            defaults.setdefault(name, entry.default)
    known = {name: vars(data)[name] for name in defaults if name in vars(data)}
    return {name: value for name, value in known.items() if value is not defaults[name] and value != defaults[name]}


def _short(value: Any) -> str:
    """Returns a fact in a few characters: of a list, only its length."""
    return (
        f"of {len(value)}"
        if isinstance(value, list | tuple)
        else f"{value:.6g}"
        if isinstance(value, float)
        else reprlib.repr(value).strip("'")
        if isinstance(value, str)
        else str(value)
    )
