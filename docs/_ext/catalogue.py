"""The problems, methods and experiments there are, with every field, as ``otbench list`` tells them."""

import inspect
import json
import re
import tomllib
from collections.abc import Mapping

from formats import prose

from otbench.cli.fields import Field, fields
from otbench.experiment.cell import Sampling
from otbench.experiment.locate import experiments as declared
from otbench.methods import METHODS
from otbench.problems import PROBLEMS
from otbench.spec import Spec


def problems() -> str:
    """A section per problem, and one on how points of it are drawn."""
    return _sections(PROBLEMS | {"sampling": Sampling})


def methods() -> str:
    """A section per method."""
    return _sections(METHODS)


def experiments() -> str:
    """A line per experiment: its name, its question, and what it costs."""
    lines = ["| experiment | its question | what it costs |", "|---|---|---|"]
    for name, file in sorted(declared().items()):
        text = file.read_text()
        cost = re.search(r"^# Cost: (.*?\.)(?: |$)", text, re.M)
        lines.append(_line(f"`{name}`", tomllib.loads(text)["question"], cost[1] if cost else "", "", False))
    return "\n".join(lines)


def _sections(specs: Mapping[str, type[Spec]]) -> str:
    return "\n".join(_section(name, spec) for name, spec in specs.items())


def _section(name: str, spec: type[Spec]) -> str:
    """What a description says of itself, and its fields."""
    lines = [f"### {name}", "", prose(spec), ""]
    if source := getattr(spec, "source", ""):
        lines += [f"Source: {inspect.cleandoc(source)}.", ""]
    found = list(fields(spec))
    if not found:
        return "\n".join([*lines, "No fields.", ""])
    told = any(field.meaning for field in found)
    table = [_line("field", "takes", "when left out", "what it is", told), _line("---", "---", "---", "---", told)]
    table += [_line(f"`{field.name}`", field.type, _default(field), field.meaning, told) for field in found]
    return "\n".join([*lines, *table, ""])


def _line(name: str, takes: str, default: str, meaning: str, told: bool) -> str:
    """A line of a table, of which the last column is left out where no field says anything."""
    cells = [part.replace("|", "\\|").replace("*", "\\*") for part in (name, takes, default, meaning)]
    return f"| {' | '.join(cells if told else cells[:3])} |"


def _default(field: Field) -> str:
    if field.required:
        return "must be given"
    return "" if field.default is None else f"`{json.dumps(field.default)}`"
