"""Rules for samples that converge: every value is proved, and every error is of it and of the laws' known W1."""

from collections.abc import Callable, Iterator

import pandas as pd

from otbench.report.check.proof_rules import PROOF, proved
from otbench.report.check.violation import Violation, at_most, holds, whole
from otbench.results.tables.cells import cell_columns


def convergence_certificates(frame: pd.DataFrame) -> Iterator[Violation]:
    """Every sample has an exact value with the interval that proves it, and none was refused."""
    yield from proved(frame)
    yield from whole("certificate", frame[frame["status"] == "ok"], PROOF)


def convergence_errors(frame: pd.DataFrame) -> Iterator[Violation]:
    """The error is |primal - population_w1| to the last bit, and W1 of the laws is one number per problem."""
    ok = frame[frame["status"] == "ok"]
    due = (ok["primal"] - ok["population_w1"]).abs()
    same = ok["error"] == due
    yield from holds("error = |primal - population W1|", ok, same, "another number", "that difference", "error")
    laws = [frame[name] for name in cell_columns(frame, "problem.")]
    most = frame["population_w1"].groupby(laws, dropna=False).transform("max")
    below = (most - frame["population_w1"]).rename("population_w1")
    yield from at_most("one population W1 per problem", frame, below, 0.0)


#: Rules on the frame of samples that converge.
CONVERGENCE_RULES: dict[str, Callable[[pd.DataFrame], Iterator[Violation]]] = {
    "certificates": convergence_certificates, "errors": convergence_errors,
}  # fmt: skip
