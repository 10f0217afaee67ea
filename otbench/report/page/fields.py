"""What a table's columns are, in words: of the one file of meanings, or the field's own description."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from otbench.experiment.cell import Sampling
from otbench.methods import METHODS
from otbench.problems import PROBLEMS
from otbench.results.meanings import meaning
from otbench.spec import Spec

SPECS: Mapping[str, Mapping[str, type[Spec]]] = {"method": METHODS, "problem": PROBLEMS}


def defined(column: str, table: pd.DataFrame, name: str) -> str:
    """What a column is in the table of that name; of the field of a problem or a method, what those in it say of it."""
    kind, _, field = column.partition(".")
    if not field:
        return meaning(column, name) or ""
    if field == "version":
        return f"version of the {kind}: it is raised when its numbers change"
    if field == "name":
        return f"the {kind}: `otbench list` tells of each"
    fields = [spec.model_fields[field].description for spec in _specs(kind, table) if field in spec.model_fields]
    return "; or: ".join(dict.fromkeys(text for text in fields if text)) or f"the {kind}'s field {field}"


def _specs(kind: str, table: pd.DataFrame) -> list[type[Spec]]:
    """The descriptions that the rows of a table are made of."""
    if kind == "sampling":
        return [Sampling]
    known = SPECS.get(kind, {})
    names: list[Any] = table[f"{kind}.name"].dropna().unique().tolist() if f"{kind}.name" in table else list(known)
    return [known[name] for name in names if name in known]
