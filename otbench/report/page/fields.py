"""What a table's columns are, in words: of the one file of definitions, or the field's own description."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from otbench.experiment.cell import Sampling
from otbench.methods import METHODS
from otbench.problems import PROBLEMS
from otbench.results.definitions import definition
from otbench.spec import Spec

SPECS: Mapping[str, Mapping[str, type[Spec]]] = {"method": METHODS, "problem": PROBLEMS}


def defined(column: str, table: pd.DataFrame) -> str:
    """What a column is; of the field of a problem or a method, what those in the table say of it."""
    kind, _, name = column.partition(".")
    if not name:
        return definition(column)
    if name == "version":
        return f"version of the {kind}: it is raised when its numbers change"
    if name == "name":
        return f"the {kind}: `otbench list` tells of each"
    fields = [spec.model_fields[name].description for spec in _specs(kind, table) if name in spec.model_fields]
    return "; or: ".join(dict.fromkeys(text for text in fields if text)) or f"the {kind}'s field {name}"


def _specs(kind: str, table: pd.DataFrame) -> list[type[Spec]]:
    """The descriptions that the rows of a table are made of."""
    if kind == "sampling":
        return [Sampling]
    known = SPECS.get(kind, {})
    names: list[Any] = table[f"{kind}.name"].dropna().unique().tolist() if f"{kind}.name" in table else list(known)
    return [known[name] for name in names if name in known]
