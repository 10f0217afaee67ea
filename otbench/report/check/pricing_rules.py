"""Rules for starts of exact solves: all of one sample prove one W1, and no start proves more than that."""

from collections.abc import Iterator

import pandas as pd

from otbench.report.check.proof_rules import PROOF, proved
from otbench.report.check.violation import Violation, at_least, at_most, holds, whole
from otbench.results.schema import COLD, SUBSAMPLE
from otbench.results.tables.pricing import SETTING
from otbench.transport.certificate import TOLERANCE

#: What every start that was solved from has.
OF_A_START = ["rounds", "pairs", "pairs_in_all", "start_lower", "seconds_start", "seconds_solve"]


def start_certificates(frame: pd.DataFrame) -> Iterator[Violation]:
    """Every start that was not given up ends with a value and the interval that proves it; the start from a coarser
    problem, with which the others are compared, is never given up."""
    ok = frame[frame["status"] == "ok"]
    yield from proved(ok)
    yield from whole("certificate", ok, [*PROOF, *OF_A_START])
    compared = frame[frame["start"] == SUBSAMPLE]
    yield from holds("what others are compared with", compared, compared["status"] == "ok", "given up", "solved")
    there = frame["w1"].notna()
    yield from holds("what others are compared with", frame, there, "missing", "there for all points", "w1")


def one_w1(frame: pd.DataFrame) -> Iterator[Violation]:
    """The intervals of all starts of one sample have a point in common, as W1 lies in each; an interval at which a
    start was given up has as well.

    No potentials prove more than W1 (weak duality), so that the gap before any round is at least 0, and that of
    potentials of zero is 1.
    """
    sample = frame.groupby([*SETTING, "seed"])
    least, most = sample["primal_upper"].transform("min"), sample["primal_lower"].transform("max")
    yield from at_most("one W1 a sample", frame, most.rename("primal_lower"), least)
    yield from at_most("lower <= upper", frame, frame["primal_lower"], frame["primal_upper"])
    yield from at_most("a start proves at most W1", frame, frame["start_lower"], least * (1 + TOLERANCE))
    yield from at_least("a start proves at least 0", frame, frame["start_lower"], 0.0)
    cold = frame[frame["start"] == COLD]
    yield from at_most("potentials of zero prove nothing", cold, cold["start_lower"], 0.0)


def start_ranges(frame: pd.DataFrame) -> Iterator[Violation]:
    """Seconds are positive, all rounds together have no fewer pairs than the last, and skill, cosine and scale are
    possible."""
    for name in ("seconds_start", "seconds_solve", "seconds_fit", "scale", "nearest"):
        yield from at_least(f"{name} >= 0", frame, frame[name], 0.0)
    yield from holds("seconds > 0", frame, ~(frame["seconds"] <= 0), "0 or less", "above 0", "seconds_solve")
    yield from at_most("pairs <= pairs in all", frame, frame["pairs"], frame["pairs_in_all"])
    yield from at_most("nearest <= c_transform", frame, frame["nearest"], frame["c_transform"] * (1 + TOLERANCE))
    yield from at_most("c_transform <= W1 of its points", frame, frame["c_transform"],
                       frame["part_primal"] * (1 + TOLERANCE))  # fmt: skip
    yield from at_most("plan_cosine <= 1", frame, frame["plan_cosine"].abs(), 1 + TOLERANCE)
    critics = frame[~frame["start"].isin([SUBSAMPLE, COLD]) & (frame["status"] != "diverged")]
    yield from whole("a critic's ladder", critics, ["scale", "c_transform", "nearest", "part_primal", "seconds_fit"])
