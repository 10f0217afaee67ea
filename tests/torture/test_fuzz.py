"""Twenty thousand rubbish inputs: each is read or refused in one line, nothing is run or written elsewhere."""

import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from processes import figure
from rubbish import FORMATS, outcome

from otbench.workers import first_line

pytestmark = [pytest.mark.torture, pytest.mark.timeout(400)]

COUNTS = {"toml": 7200, "rows": 800, "csv": 6000, "npy": 6000}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMATS)
def test_rubbish_is_read_or_refused_in_one_line(name: str, small_results: Path, tmp_path: Path) -> None:
    assert sum(COUNTS.values()) == 20_000
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
