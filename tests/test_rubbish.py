"""A taste of what make torture feeds the readers: they take rubbish or refuse it, and reserve no more than there is."""

import gzip
import io
import shutil
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from command_line import Otbench, assert_one_line
from rubbish import FORMATS, outcome
from small import BLOCK, change

from otbench.errors import InputError, ResultsError
from otbench.experiment.declaration import load_experiment
from otbench.files import parse_npy, read_bounded, unpacked
from otbench.report.markdown import markdown
from otbench.results.store import Results


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "count"), [("toml", 300), ("rows", 25), ("csv", 300), ("npy", 300)])
def test_rubbish_is_read_or_refused_in_one_line(name: str, count: int, small_results: Path, tmp_path: Path) -> None:
    shutil.copytree(small_results, tmp_path / "good")
    shutil.copytree(small_results, tmp_path / "results" / "small")
    (tmp_path / "y.csv").write_text("a,b\n1,2\n3,4\n")
    found = Counter(outcome(FORMATS[name](tmp_path, np.random.default_rng(seed))) for seed in range(count))
    assert set(found) == {"accepted", "refused"}
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i8", "|b1", "<c16", "|S5", "<U3"])
def test_an_array_is_read_as_numpy_reads_it(dtype: str, order: str) -> None:
    array = np.asarray(np.arange(12).reshape(3, 4).astype(dtype), order=order)
    buffer = io.BytesIO()
    np.save(buffer, array)
    read = parse_npy(buffer.getvalue())
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_a_header_that_promises_more_than_there_is_reserves_nothing() -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**15, 2)})
    with pytest.raises(ValueError, match=r"its header says 1000000000000000 x 2 of float64, 16 bytes follow"):
        parse_npy(buffer.getvalue() + bytes(16))


def test_a_file_that_unpacks_without_end_is_stopped_at_the_limit() -> None:
    bomb = gzip.compress(bytes(10**7))
    assert len(bomb) < 10**5
    with pytest.raises(ValueError, match="it unpacks to more than 1 MiB"):
        unpacked(bomb, 2**20)
    assert unpacked(gzip.compress(b"one") + gzip.compress(b"two"), 6) == b"onetwo"
    with pytest.raises(ValueError, match="ends too early"):
        unpacked(bomb[:-9], 2**30)


def test_a_file_beyond_its_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**40)  # of holes: it takes no room, and would take all memory
    with pytest.raises(InputError, match="has 1048576 MiB, at most 1 are read"):
        read_bounded(tmp_path / "huge", 2**20)
    (tmp_path / "rows.jsonl").hardlink_to(tmp_path / "huge")
    with pytest.raises(InputError, match="at most 1024 are read"):
        Results(tmp_path).rows()


@pytest.mark.parametrize("name", ["...toml", ".hidden.toml", "a .toml", "<b>.toml", "a\nb.toml"])
def test_an_experiment_has_a_name_that_stays_below_the_results_folder(name: str, tmp_path: Path) -> None:
    text = BLOCK.format(seeds="[0]", problem='{ name = "spheres" }', sampling="{}", method='{ name = "zero" }')
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="must start with a letter or digit and have letters"):
        load_experiment(str(tmp_path / name))


def test_half_a_character_is_refused_where_it_is_read(copy: Results) -> None:
    copy.rows_file.write_text(copy.rows_file.read_text().replace('"reason":""', '"reason":"\\ud800"', 1))
    with pytest.raises(ResultsError, match="line 1, is not a row"):
        copy.rows()


def test_names_are_inert_on_every_page(otbench: Otbench, copy: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    nasty = "<script>alert(1)</script>|\x1b[2J\x00"
    change(copy, lambda row: row["method.name"] == "linear", problem__law=nasty, cosine=1.5)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "page.md")
    done = otbench("check", "--results", copy.folder.parent, "--junit", "junit.xml")
    assert done.code == 1
    assert not {"\x1b", "\x00"} & set(done.out)
    assert ElementTree.parse("junit.xml").getroot().find("testsuite") is not None
    assert "<script" not in Path("page.md").read_text()
    table = markdown(pd.DataFrame({nasty: [nasty]}))
    assert "<script" not in table
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\|" in table


def test_a_device_file_or_a_folder_is_no_experiment(otbench: Otbench) -> None:
    Path("folder.toml").mkdir()
    assert_one_line(otbench("run", "folder.toml"), "no such experiment file: folder.toml")
