"""What is written of results, a text with quotes, a verdict or scores, is the old file or the new one whole."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from failing_disk import interruptions

from otbench.report.check.junit import write_junit
from otbench.report.quotes import rewrite_quotes
from otbench.results.tables.published_scores import SCORES_FILE, keep_scores

QUOTE = "# Mine\n\nOf {} rows.\n<!--quotes quotes.txt-->\n"
SCORES = "dim,funnels,method,cos,l2,cost\n2,4,wgan,0.5,0.25,1.5\n2,4,true,1.0,0.0,{}\n"


def quotes(place: Path) -> None:
    rewrite_quotes(place / "README.md", place)


def verdict(place: Path) -> None:
    write_junit({"small": {"tables": []}}, {}, place / "junit.xml")


def scores(place: Path) -> None:
    keep_scores(place / "published", place / "metrics.csv")


@pytest.mark.parametrize(
    ("work", "how"), [(quotes, "killed"), *((work, how) for work in (verdict, scores) for how in ("killed", "power"))]
)
def test_a_file_is_the_old_one_or_the_new_one_whole(
    work: Callable[[Path], None], how: str, small_results: Path, tmp_path: Path
) -> None:
    def prepare(place: Path) -> Path:
        shutil.copytree(small_results, place / "small")
        rows = (place / "small" / "rows.jsonl").read_bytes().splitlines(keepends=True)
        (place / "small" / "rows.jsonl").write_bytes(b"".join(rows[:3]))
        (place / "README.md").write_text(QUOTE.format("?"))
        (place / "quotes.txt").write_text("Of {} rows\n    small/matrix key count as d\n")
        (place / "junit.xml").write_text("<old/>")
        (place / "metrics.csv").write_text(SCORES.format(2.0))
        (place / "published").mkdir()
        (place / "published" / SCORES_FILE).write_text(SCORES.format(3.0))
        return place

    def files(place: Path) -> dict[str, bytes]:
        """What is there, but for what a writer that was killed left under a name that nobody reads."""
        found = [file for file in place.rglob("*") if file.is_file() and not file.name.startswith(".")]
        return {str(file.relative_to(place)): file.read_bytes() for file in found}

    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        prepare(tmp_path / name)
    work(tmp_path / "after")
    old, new = files(tmp_path / "before"), files(tmp_path / "after")
    assert old != new
    for place, ended in interruptions(tmp_path, how, prepare, work):
        found = files(place)
        assert set(found) == set(old) | set(new)
        assert all(data in {old[name], new[name]} for name, data in found.items())
        assert not ended or found == new
        work(place)
        assert files(place) == new
