"""Published scores as they are read: our table of all pairs, or the benchmark's folders of a table per pair."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from otbench.errors import InputError
from otbench.results.tables.published_scores import SCORE_COLUMNS, SCORE_LAYOUTS, read_scores, scores_beside

#: By dimension and funnels, what a clone of the benchmark has in its folder of scores.
CLONE = {(2, 4): [("wgan", 0.1, 0.9, 0.05), ("true", 1.0, 0.0, 0.8)], (16, 4): [("wgan", 0.3, 7.0, 1.7)],
         (128, 256): [("cowgan", -0.5, 25.5, 2.6)]}  # fmt: skip


def clone(folder: Path) -> Path:
    """The scores as the benchmark's notebooks write them: a frame with the methods in its index."""
    for (dim, funnels), rows in CLONE.items():
        place = folder / SCORE_LAYOUTS[0] / f"dim_{dim}" / f"width_{funnels}"
        place.mkdir(parents=True)
        table = pd.DataFrame(rows, columns=["method", "cos", "l2", "cost"]).set_index("method").rename_axis(None)
        table.to_csv(place / "metrics_deg_8_seed_2.csv")
    (folder / "metrics" / "metrics_celeba").mkdir()
    return folder


def test_a_clone_of_the_benchmark_and_a_table_of_it_hold_the_same_scores(tmp_path: Path) -> None:
    top = clone(tmp_path / "W1")
    due = [[*pair, *row] for pair, rows in CLONE.items() for row in rows]
    for layout in (".", "metrics", SCORE_LAYOUTS[0]):
        table = read_scores(top / layout)
        assert list(table) == SCORE_COLUMNS
        assert table.to_numpy().tolist() == due
    table.to_csv(tmp_path / "scores.csv", index=False)
    assert read_scores(tmp_path / "scores.csv").to_numpy().tolist() == due


def test_scores_are_found_beside_pairs_wherever_in_a_clone_these_are_named(tmp_path: Path) -> None:
    top = clone(tmp_path / "W1")
    pair = top / "benchmarks" / "nd" / "dim_2" / "width_4" / "deg_8_seed_987.pt"
    pair.parent.mkdir(parents=True)
    pair.touch()
    for pairs in (pair, *(place for place in pair.parents if place != tmp_path and place.is_relative_to(top))):
        assert scores_beside(pairs) == (top / SCORE_LAYOUTS[0]).resolve(), pairs
    alone = tmp_path / "pairs.npz"
    alone.touch()
    assert scores_beside(alone) is None
    (tmp_path / "metrics.csv").touch()
    assert scores_beside(alone) == (tmp_path / "metrics.csv").resolve()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("dim,funnels,method,cos,l2\n", "must have the columns dim, funnels, method, cos, l2, cost"),
        ("dim,funnels,method,cos,l2,cost\n2,4,wgan,nan,1,1\n", "must hold finite numbers"),
        ("dim,funnels,method,cos,l2,cost\n2,4,wgan,much,1,1\n", "must hold finite numbers"),
        ("dim,funnels,method,cos,l2,cost\n,2,4,wgan,1,1,1\n", "has a row with more cells than its header names"),
        ("", "is not a table of scores"),
        ("dim,funnels,method,cos,l2,cost\n2,4,wgan,1,1,1\n2,4,wgan,0,1,1\n", "has a method twice of one pair"),
    ],
)
def test_scores_that_are_none_are_one_line(text: str, rule: str, tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(InputError, match=rule) as error:
        read_scores(tmp_path / "scores.csv")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("metrics_deg_8_seed_2.csv", ",cos,l2\nwgan,1,1\n", "must have the columns Unnamed: 0, cos, l2, cost"),
        ("metrics_deg_8_seed_2.csv", ",cos,l2,cost\nwgan,1,1,nan\n", "must hold finite numbers"),
        ("metrics_deg_8_seed_2.csv", ",cos,l2,cost\nwgan,1,1,1\nwgan,1,1,2\n", "has a method twice of one pair"),
        ("metrics_deg_8_seed_3.csv", ",cos,l2,cost\nwgan,1,1,1\n", "has the scores of two seeds"),
    ],
)
def test_a_broken_table_of_one_pair_is_named_in_one_line(name: str, text: str, rule: str, tmp_path: Path) -> None:
    place = clone(tmp_path / "W1") / SCORE_LAYOUTS[0] / "dim_16" / "width_4"
    (place / name).write_text(text)
    with pytest.raises(InputError, match=rule) as error:
        read_scores(tmp_path / "W1")
    assert str(place) in str(error.value)
    assert "\n" not in str(error.value)


def test_other_files_are_left_alone_and_a_folder_without_scores_says_how_they_lie(tmp_path: Path) -> None:
    top = clone(tmp_path / "W1")
    before = read_scores(top)
    for name in ("dim_2/width_4/metrics_deg_10_seed_2.csv", "dim_2/width_0/metrics_deg_8_seed_2.csv", "dim_2/x/y.csv"):
        (top / SCORE_LAYOUTS[0] / name).parent.mkdir(exist_ok=True)
        (top / SCORE_LAYOUTS[0] / name).write_text("rubbish")
    assert np.array_equal(read_scores(top).to_numpy(), before.to_numpy())
    with pytest.raises(InputError, match="has no published scores: a folder has them as metrics/metrics_nd/dim_DIM/"):
        read_scores(tmp_path / "W1" / "metrics" / "metrics_celeba")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_scores(tmp_path / "absent.csv")
