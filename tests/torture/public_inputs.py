"""Random inputs for every public function, each with an independent reading of what an accepted one must give.

    python tests/torture/public_inputs.py 500

prints, for each function, how many inputs were refused in one line and accepted, and every foreign exception, warning
and silent change with the seed that makes it again.
"""

import math
import shutil
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import public_files
import public_functions
from disguises import Rng
from public_functions import Case
from small import run_small

import otbench
from otbench.errors import OtbenchError
from otbench.results.store import Results

FUNCTIONS = (
    "solve_exact", "verify_exact", "cost_matrix", "lower_bounds", "monitor", "audit", "certify", "estimate", "method",
    "train", "problem",
)  # fmt: skip

CASES: dict[str, Callable[[Rng, Path], Case]] = {
    **{name: getattr(public_functions, name) for name in FUNCTIONS},
    "load": public_files.results(lambda where: otbench.load(where), Path),
    "check_results": public_files.results(lambda where: otbench.check_results(where), Results),
    **{name: getattr(public_files, name) for name in ("csv", "npy", "toml", "npz", "pt", "scores")},
}


@dataclass
class Tally:
    """What came of the inputs of one function."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def examine(name: str, seed: int, folder: Path, tally: Tally) -> None:
    """One input: accepted or refused, with every warning, foreign exception and silent change noted."""
    call, look = CASES[name](np.random.default_rng([sorted(CASES).index(name), seed]), folder)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            value = call()
        except OtbenchError as error:
            tally.counts["refused"] += 1
            if "\n" in str(error):
                tally.faults["refusals of several lines"].append(f"{seed}: {error}")
            value = look = None
        except Exception as error:  # what escapes is what it looks for
            tally.faults["foreign exceptions"].append(f"{seed}: {type(error).__name__}: {str(error)[:90]!r}")
            value = look = None
    heard = [] if name == "audit" and _is_told_of_its_sign(heard, value) else heard
    tally.faults["warnings"] += [f"{seed}: {w.category.__name__}: {str(w.message)[:90]!r}" for w in heard]
    if look is not None:
        tally.counts["accepted"] += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                complaint = look(value)
            except Exception as error:  # the reading itself cannot make sense of an accepted input
                complaint = f"cannot be read independently: {type(error).__name__}: {str(error)[:80]!r}"
        if complaint:
            tally.faults["silent changes"].append(f"{seed}: {complaint[:160]}")


def _is_told_of_its_sign(heard: list[warnings.WarningMessage], bounds: Any) -> bool:
    """Whether there is one warning, and it is the one that audit gives of a critic whose raw is negative."""
    turned = bounds is not None and bounds.raw < -bounds.raw_error
    return turned and len(heard) == 1 and str(heard[0].message).startswith("otbench.audit: wrong sign")


def prepare(folder: Path) -> None:
    """A good results folder and a second sample, which the files' cases damage copies of."""
    made = run_small(folder)
    shutil.copytree(made, folder / "good")
    (folder / "y.csv").write_text("a,b\n1,2\n3,4\n")


def survey(count: int, folder: Path, names: list[str] | None = None) -> dict[str, Tally]:
    """About ``count`` inputs, shared equally by the functions."""
    prepare(folder)
    found = {name: Tally() for name in names or CASES}
    for name, tally in found.items():
        for seed in range(math.ceil(count / len(found))):
            examine(name, seed, folder, tally)
    return found


def report(found: dict[str, Tally], shown: int = 3) -> str:
    lines = []
    for name, tally in found.items():
        faults = ", ".join(f"{len(v)} {kind}" for kind, v in tally.faults.items() if v) or "no fault"
        lines.append(f"{name:14} {tally.counts['accepted']:5} accepted, {tally.counts['refused']:5} refused, {faults}")
        lines += [f"    {kind}: seed {text}" for kind, v in tally.faults.items() for text in v[:shown]]
    return "\n".join(lines)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asked = sys.argv[1:] or ["500"]
        print(report(survey(int(asked[0]), Path(place), asked[1:] or None)))
