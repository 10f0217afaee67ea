"""The files of tables: small ones as they are, large ones compressed, never both, and only when they change."""

from pathlib import Path

import pytest

from otbench.results.store import COMPRESS_ABOVE
from otbench.results.table_files import read_table, write_table


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize(("size", "name"), [(COMPRESS_ABOVE, "t.csv"), (COMPRESS_ABOVE + 1, "t.csv.gz")])
def test_a_table_is_compressed_above_the_size_and_not_at_it(size: int, name: str, tmp_path: Path) -> None:
    data = b"x" * size
    assert write_table(tmp_path, "t", "csv", data)
    assert names(tmp_path) == [name]
    assert read_table(tmp_path, "t") == data
    before = (tmp_path / name).stat().st_mtime_ns
    assert not write_table(tmp_path, "t", "csv", data)
    assert (tmp_path / name).stat().st_mtime_ns == before


def test_a_table_that_grows_or_shrinks_leaves_one_file(tmp_path: Path) -> None:
    small, large = b"s", b"l" * (COMPRESS_ABOVE + 1)
    for data, name in ((small, "t.csv"), (large, "t.csv.gz"), (small, "t.csv")):
        assert write_table(tmp_path, "t", "csv", data)
        assert names(tmp_path) == [name]
        assert read_table(tmp_path, "t") == data


def test_what_is_not_there_is_none_and_what_is_damaged_is_written_anew(tmp_path: Path) -> None:
    assert read_table(tmp_path, "t") is None
    large = b"l" * (COMPRESS_ABOVE + 1)
    (tmp_path / "t.csv.gz").write_bytes(b"\x1f\x8bnothing")
    with pytest.raises(ValueError, match="its compression is damaged"):
        read_table(tmp_path, "t")
    assert write_table(tmp_path, "t", "csv", large)
    assert read_table(tmp_path, "t") == large
