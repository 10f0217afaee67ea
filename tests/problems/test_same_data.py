"""Same data, same answer: whatever order the rows are in, however line ends are written, whoever wrote the arrays."""

import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from command_line import Otbench

import otbench as library
from otbench.report.advice import exact_part
from otbench.report.check.rules import tables
from otbench.results.folder import Stored
from otbench.results.store import Results
from otbench.types import SamplePair

HERE = Path(__file__).parent.parent.parent


def mixture(labels: np.ndarray, shift: float, rng: np.random.Generator) -> np.ndarray:
    z = rng.standard_normal((len(labels), 4))
    z[:, 0] += shift
    z[:, 1] += 40 * labels
    return z


def test_the_exact_part_of_samples_does_not_depend_on_the_order_of_their_rows() -> None:
    rng = np.random.default_rng(0)
    real, made = mixture(np.repeat([0, 1], 600), 0, rng), mixture(rng.integers(0, 2, 1200), 1, rng)
    sorted_by_label = exact_part(SamplePair(real, made), 300)
    for _ in range(3):
        shuffled = SamplePair(rng.permutation(real), rng.permutation(made))
        assert exact_part(shuffled, 300) == sorted_by_label
    assert exact_part(SamplePair(real[::-1], made), 2000) == exact_part(SamplePair(real, made), 2000)


def test_the_exact_part_is_one_of_all_rows_and_none_is_taken_twice() -> None:
    x = np.repeat([[0.0], [1.0]], 500, axis=0)
    w1 = exact_part(SamplePair(x, np.full((1, 1), -1.0)), 200)
    assert 1.35 < w1 < 1.65  # the first 200 rows, and the last, are at 1 and 2
    apart = np.arange(50.0)[:, None]
    assert exact_part(SamplePair(apart, np.zeros((1, 1))), 50) == pytest.approx(24.5)


def test_advice_for_files_sorted_by_label_is_that_for_shuffled_ones(otbench: Otbench) -> None:
    rng = np.random.default_rng(1)
    real, made = mixture(np.repeat([0, 1], 700), 0, rng), mixture(rng.integers(0, 2, 1400), 1, rng)
    for name, points in (("a", real), ("b", rng.permutation(real)), ("made", made)):
        np.save(f"{name}.npy", points)
    call = ("advise", "--dim", "4", "--widths", "64,64", "--data")
    one, other = (otbench(*call, f"{name}.npy", "made.npy") for name in "ab")
    assert one.code == 0
    assert one.out == other.out


def test_a_table_with_other_line_ends_is_said_to_have_them(copy: Results) -> None:
    file = copy.tables / "clip.csv"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    (found,) = tables(Stored(copy))
    assert "other line ends (CRLF)" in str(found)
    file.write_bytes(file.read_bytes().replace(b"0", b"1"))
    (found,) = tables(Stored(copy))
    assert "CRLF" not in str(found)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize("setting", ["true", "input", "false"])
def test_a_clone_has_the_bytes_that_were_committed_however_git_converts_lines(setting: str, tmp_path: Path) -> None:
    one, git = tmp_path / "one", ("git", "-c", "user.name=n", "-c", "user.email=e", "-c", f"core.autocrlf={setting}")
    one.mkdir()
    shutil.copy(HERE / ".gitattributes", one)
    content = {"t.csv": b"a,b\n1,2\n", "r.jsonl": b"{}\n", "p.png": b"\x89PNG\r\n\x1a\n\r\n", "r.gz": b"\x1f\x8b\r\n"}
    for name, data in content.items():
        (one / name).write_bytes(data)
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], cwd=one, check=True)
    subprocess.run([*git, "clone", "-q", "-c", f"core.autocrlf={setting}", one, tmp_path / "two"], check=True)
    assert {name: (tmp_path / "two" / name).read_bytes() for name in content} == content


def test_a_run_on_arrays_of_ones_own_prints_no_warning(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.standard_normal((30, 3)))
    np.save(tmp_path / "y.npy", np.asfortranarray(rng.standard_normal((20, 3)) + 1).astype(">f4"))
    code = """
import otbench, sys
pair = otbench.problem("arrays", folder=sys.argv[1], x="x.npy", y="y.npy").sample()
otbench.audit(otbench.train(pair, otbench.WeightClip(steps=5)), pair.x, pair.y)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_read_only_arrays_train_without_a_warning_and_are_left_as_they_were() -> None:
    x, y = np.random.default_rng(0).standard_normal((2, 20, 2))
    before = x.copy()
    for part in (x, y):
        part.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        library.train(SamplePair(x, y), library.WeightClip(steps=3))
    assert np.array_equal(x, before)
