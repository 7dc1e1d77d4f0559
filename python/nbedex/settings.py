"""Base of all option groups: frozen, keyword-only, checked on creation, and the schema of a run's TOML file.

Every group of more than a few options is a subclass of `Settings`. The same class is the keyword interface of the
Python API and a table of the TOML file; an unknown key or a value out of range is an `ArgumentError` that names it.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
import tomli_w

from nbedex.errors import ArgumentError

S = TypeVar("S", bound="Settings")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen option group; the constraints in its annotations hold however it was made."""

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(type(self)):
            value = getattr(self, field.name)
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
                raise ArgumentError(f"{field.name} must be finite, got {value!r}")
            if isinstance(value, Settings):
                continue
            try:
                # An int given for a float becomes one, so that equal settings have equal text and hashes.
                msgspec.structs.force_setattr(self, field.name, msgspec.convert(value, field.type))
            except msgspec.ValidationError as error:
                raise ArgumentError(f"{field.name}: {_lower(error)}, got {value!r}") from None

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary, nested like the TOML file; options that are None are left out."""
        return _without_none(msgspec.to_builtins(self))


def _lower(error: Exception) -> str:
    text = str(error)
    return text[:1].lower() + text[1:]


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }


def settings_from_dict(kind: type[S], values: Mapping[str, Any], *, where: str = "configuration") -> S:
    """Settings of `kind` from a nested dictionary such as TOML gives.

    Raises
    ------
    ArgumentError
        Unknown key, wrong type or value out of range; the message names the key and `where` it stands.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise ArgumentError(f"{where}: {_explained(str(error), kind, values)}") from None


def _explained(text: str, kind: type[Settings], values: Mapping[str, Any]) -> str:
    """msgspec's message with the value that came, and what is allowed where it is a choice or a name."""
    text, _, place = text.partition(" - at `$")
    keys = [key for key in place.rstrip("`").split(".") if key]
    at = f" at `{'.'.join(keys)}`" if keys else ""
    hint: Any = kind
    value: Any = values
    for key in keys:
        hint = get_type_hints(hint).get(key) if isinstance(hint, type) else None
        value = value.get(key) if isinstance(value, Mapping) else None
    if "unknown field" in text and isinstance(hint, type):
        known = ", ".join(field.name for field in msgspec.structs.fields(hint))
        return f"{text}{at}; known keys {'there' if keys else 'at the top'}: {known}"
    if get_origin(hint) is Literal:
        return f"{text}{at}; expected one of {', '.join(map(str, get_args(hint)))}"
    return text + at if value is None or isinstance(value, Mapping) or "got" in text else f"{text}{at}, got {value!r}"


def settings_from_toml(kind: type[S], path: str | Path) -> S:
    """Settings of `kind` from a TOML file."""
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"can't read configuration {path}: {error}") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ArgumentError(f"{path} is not valid TOML: {error}") from None
    return settings_from_dict(kind, values, where=str(path))


def settings_to_toml(settings: Settings) -> str:
    """TOML text that `settings_from_toml` reads back to equal settings."""
    return tomli_w.dumps(settings.to_dict())
