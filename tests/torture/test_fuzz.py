"""Rubbish inputs, 20 000 of files and 20 000 of all that is public: read rightly or refused in one line, none run."""

import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from processes import figure
from public_inputs import CASES, Tally, examine, prepare, report
from rubbish import FORMATS, outcome

from otbench.experiment.run.workers import first_line

pytestmark = [pytest.mark.torture, pytest.mark.timeout(400)]

COUNTS = {"toml": 7200, "rows": 800, "csv": 6000, "npy": 6000}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMATS)
def test_rubbish_is_read_or_refused_in_one_line(name: str, small_results: Path, tmp_path: Path) -> None:
    assert sum(COUNTS.values()) == 21_500
    shutil.copytree(small_results, tmp_path / "good")
    shutil.copytree(small_results, tmp_path / "results" / "small")
    (tmp_path / "y.csv").write_text("a,b\n1,2\n3,4\n")
    own = {tmp_path / f"rubbish.{name}", tmp_path / f"x.{name}"}
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    found, raised = Counter[str](), list[str]()
    begun = time.monotonic()
    for seed in range(COUNTS[name]):
        read = FORMATS[name](tmp_path, np.random.default_rng(seed))
        try:
            found[outcome(read)] += 1
        except Exception as error:
            raised.append(f"seed {seed}: {first_line(error)}")
    assert raised == []
    after = {file for file in tmp_path.rglob("*") if file.is_file()}
    elsewhere = {f for f in after - set(before) if tmp_path / "results" / "small" not in f.parents} - own
    assert elsewhere == set()
    outside = [file for file in before if tmp_path / "results" not in file.parents]
    assert all(file.read_bytes() == before[file] for file in outside)
    assert found["refused"] > 0
    assert found["accepted"] > 0
    figure(
        f"{COUNTS[name]} fuzzed {name} inputs: {found['refused']} refused in one line, {found['accepted']} read, "
        f"0 tracebacks, nothing run or written elsewhere; {time.monotonic() - begun:.0f} s"
    )


#: How many of each kind; folders are slow to write and check.
PUBLIC = dict.fromkeys(CASES, 1500) | {
    "load": 600, "check_results": 400, "train": 1000, "audit": 1000, "certify": 1000, "estimate": 500, "toml": 500,
    "npz": 750, "pt": 750,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # of the cases in the making; those of the functions are counted
@pytest.mark.parametrize("name", CASES)
def test_every_public_function_gives_what_an_independent_reading_gives_or_refuses(name: str, tmp_path: Path) -> None:
    assert sum(PUBLIC.values()) == 21_500
    prepare(tmp_path)
    tally, begun = Tally(), time.monotonic()
    for seed in range(PUBLIC[name]):
        examine(name, seed, tmp_path, tally)
    assert not any(tally.faults.values()), "\n" + report({name: tally}, shown=20)
    assert tally.counts["accepted"] > 0
    assert tally.counts["refused"] > 0
    figure(report({name: tally}) + f"; {time.monotonic() - begun:.0f} s")
