"""The fields of a problem or a method as a person reads them: name, type, choices, default, meaning."""

import json
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from otbench.spec import Spec

#: Types as an experiment file's reader knows them.
WORDS = {int: "whole number", float: "number", bool: "true or false", str: "text"}

#: Limits as pydantic names them.
LIMITS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


@dataclass(frozen=True)
class Field:
    """One field: its name, type and limits or choices in words, whether it must be given, else its default."""

    name: str
    type: str
    choices: tuple[object, ...]
    required: bool
    default: Any
    meaning: str

    def __str__(self) -> str:
        """``clip: number > 0 = 0.01  c, the half side of the box``."""
        default = "" if self.required or self.default is None else f" = {_toml(self.default)}"
        need = " (must be given)" if self.required else ""
        return f"{self.name}: {self.type}{need}{default}{'  ' + self.meaning if self.meaning else ''}"

    def told(self) -> dict[str, Any]:
        """The field for a program."""
        told = {"type": self.type, "choices": list(self.choices), "required": self.required, "meaning": self.meaning}
        return told if self.required else told | {"default": self.default}


def summary(spec: "type[Spec]") -> str:
    """The first line of what a description says of itself."""
    return (spec.__doc__ or "").strip().splitlines()[0]


def fields(spec: "type[Spec]") -> Iterator[Field]:
    """Every field of a description but its name."""
    for name, info in spec.model_fields.items():
        if name != "name":
            needed = info.is_required()
            default = None if needed else info.get_default(call_default_factory=True)
            yield Field(name, _words(info), tuple(_choices(info.annotation)), needed, default, info.description or "")


def _words(info: "FieldInfo") -> str:
    """The type of a field with its limits."""
    bounds = [
        f"{sign} {_toml(limit)}"
        for rule in info.metadata
        for name, sign in LIMITS.items()
        if (limit := getattr(rule, name, None)) is not None
    ]
    return " ".join([_type(info.annotation), " and ".join(bounds)]).strip()


def _type(annotation: Any) -> str:
    """A type in words: text, a number, one of some choices, a list of these."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " | ".join(map(_toml, parts))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(part) for part in parts if part is not type(None))
    if origin is tuple:
        return f"list of {_type(parts[0])}s" if parts[-1] is ... else f"list of {len(parts)} {_type(parts[0])}s"
    if origin is typing.Annotated:
        return _type(parts[0])
    return WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _choices(annotation: Any) -> Iterator[object]:
    """The values a field may have, where they are counted."""
    if typing.get_origin(annotation) is typing.Literal:
        yield from typing.get_args(annotation)
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _choices(part)


def _toml(value: Any) -> str:
    """A value as an experiment file has it."""
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(list(value) if isinstance(value, tuple) else value)
