"""Descriptions of problems, samplings, methods and plans: frozen, strictly validated values that decide numbers."""

import types
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self, SupportsIndex

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from otbench.errors import InputError, UnknownNameError
from otbench.inputs import plain

Scalar = str | int | float | bool | None


class Origin(Protocol):
    """What a description came with that is none of otbench's own: a plugin (``otbench.experiment.plugin``)."""

    @property
    def mark(self) -> str:
        """What tells the plugin's content from any other, as a column of rows has it."""

    def blank(self, kind: str, name: str) -> "Spec":
        """A description of that kind and name whose fields are not set yet, wherever this is called."""


class Spec(BaseModel):
    """Base of all descriptions: it has a field for everything that changes a number, and no other.

    ``version`` is part of every row's key: raise it when the numbers that a description gives change. An unknown field,
    a wrong type or a value out of range is an InputError on construction; numpy's numbers and arrays count as Python's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    kind: ClassVar[str] = "description"
    version: ClassVar[int] = 1

    #: Fields that were added later, with defaults under which numbers are what they were: they are columns only where
    #: they differ from these, so that other rows keep the keys that they had before such a field was known.
    added: ClassVar[frozenset[str]] = frozenset()

    #: The plugin that defines this description; None of otbench's own, whose rows have no such column.
    plugin: ClassVar[Origin | None] = None

    def __init__(self, /, **fields: Any) -> None:
        label = f"{self.kind} {fields['name']!r}" if "name" in fields else self.kind
        for name in fields:
            if name not in type(self).model_fields:
                raise UnknownNameError(f"field of {label}", name, type(self).model_fields)
        try:
            super().__init__(**{name: self._given(name, plain(value)) for name, value in fields.items()})
        except ValidationError as error:
            raise InputError(f"{label}: {first_complaint(error)}") from None

    @classmethod
    def _given(cls, name: str, value: Any) -> Any:
        """The value of a field; a list where the field is a tuple counts as one, as files have lists alone."""
        return tuple(value) if isinstance(value, list) and is_sequence_field(cls.model_fields[name]) else value

    @classmethod
    def parse(cls, fields: Mapping[str, Any], folder: str) -> Self:
        """The description with ``fields``; files it names are looked up in ``folder``.

        Raises:
            UnknownNameError: a field this description does not have (offers the nearest).
            InputError: a value of the wrong type or out of range.
        """
        return cls(**fields)

    def columns(self, prefix: str) -> dict[str, Scalar]:
        """The fields and the version as columns ``prefix.field``; tuples become text as ``64x64``.

        Of a plugin's description what tells its content stands beside them, so that it is part of the row's key.
        """
        fields = {"version": self.version, **self.model_dump()}
        for name in self.added:
            if fields[name] == type(self).model_fields[name].default:
                del fields[name]
        if self.plugin is not None:
            fields["plugin"] = self.plugin.mark
        return {f"{prefix}.{name}": _flat(value) for name, value in fields.items()}

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """As of any object, but a plugin's description takes its plugin along: no other process could import it."""
        if self.plugin is None:
            return super().__reduce_ex__(protocol)
        return self.plugin.blank, (self.kind, getattr(self, "name", "")), self.__getstate__()


def first_complaint(error: ValidationError, skip: int = 0) -> str:
    """The first broken rule in one line: the field less ``skip`` parts of its path, the rule, what came."""
    detail = error.errors()[0]
    where = ".".join(str(part) for part in detail["loc"][skip:])
    rule = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    rule = rule[0].lower() + rule[1:]
    came = "" if detail["type"] in {"missing", "value_error"} else f"; got {detail['input']!r}"
    return f"{where}: {rule}{came}" if where else f"{rule}{came}"


def is_sequence_field(field: FieldInfo) -> bool:
    """Whether one value of the field is itself a list, as of ``widths``, so that an axis of it is a list of lists."""
    return any(typing.get_origin(t) is tuple for t in _alternatives(field.annotation))


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)


def _flat(value: Any) -> Scalar:
    if isinstance(value, tuple):
        return "x".join(f"{part:g}" if isinstance(part, float) else str(part) for part in value) or "none"
    return value  # type: ignore[no-any-return]
