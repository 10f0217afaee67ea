"""The tables that texts quote and the headline, from made rows in which no two columns and no two medians are alike."""

import itertools
import math
import statistics
from typing import Any

import numpy as np
import pandas as pd
import pytest

from otbench.errors import InputError
from otbench.report.headline import MEASURED, headline, labelled
from otbench.report.markdown import by_clip, gap
from otbench.results.tables.cells import most_frequent

Row = dict[str, Any]


def made() -> list[Row]:
    """Critics of two clip values in two dimensions, beside others that no quoted table takes."""
    rng = np.random.default_rng(0)
    rows: list[Row] = []
    kinds = [("p", "independent", "weight_clip", "clip"), ("p", "coupled", "weight_clip", "clip"),
             ("q", "independent", "weight_clip", "clip"), ("p", "independent", "weight_clip", "absolute"),
             ("p", "independent", "untrained", "clip"), ("p", "independent", "linear", None)]  # fmt: skip
    for k, (problem, mode, critic, unit) in enumerate(kinds):
        clips, seeds = ((0.01, 0.1) if unit else (None,)), range(4 if k == 0 else 3)
        own = {"problem.name": problem, "sampling.mode": mode, "critic": critic, "method.name": critic,
               "method.lr_unit": unit, "method.lr": 0.5 if unit else None, "status": "ok"}  # fmt: skip
        for dim, clip, overlap, seed in itertools.product((2, 8), clips, (0.0, 0.5), seeds):
            cell = {"problem.dim": dim, "method.clip": clip, "problem.overlap": overlap, "seed": seed}
            rows.append(own | cell | {name: float(rng.uniform(0.1, 2.0)) for name in MEASURED})
    rows[0] |= {"status": "diverged", **dict.fromkeys(MEASURED, math.nan)}
    return [rows[k] for k in rng.permutation(len(rows))]


ROWS = made()


def frame(rows: list[Row] = ROWS) -> pd.DataFrame:
    return pd.DataFrame(rows)


def test_the_quoted_table_has_a_line_a_cell_of_the_most_frequent_problem_at_rates_in_proportion() -> None:
    table = by_clip(frame([row for row in ROWS if row["critic"] != "linear"]))
    widest = table.pop("widest interval")
    assert list(table.columns[3:]) == ["raw/W1, d=2", "raw/W1, d=8", "slope/W1, d=2", "slope/W1, d=8"]
    lines = list(itertools.product(("coupled", "independent"), (0.0, 0.5), (0.01, 0.1)))
    assert [tuple(line) for line in table[["samples", "overlap", "clip c"]].itertuples(index=False)] == lines
    for (mode, overlap, clip), (_, line), width in zip(lines, table.iterrows(), widest, strict=True):
        relative = []
        for dim in (2, 8):
            asked = ("p", mode, "weight_clip", "clip", clip, dim, overlap)
            names = ("problem.name", "sampling.mode", "critic", "method.lr_unit", "method.clip", "problem.dim",
                     "problem.overlap")  # fmt: skip
            here = [row for row in ROWS if tuple(row[name] for name in names) == asked and row["status"] == "ok"]
            assert len(here) in (3, 4)
            for label, column in (("raw/W1", "raw_over_w1"), ("slope/W1", "slope_over_w1")):
                values = [row[column] for row in here]
                assert line[f"{label}, d={dim}"] == statistics.median(values)
                relative.append((max(values) - min(values)) / statistics.median(values))
        assert width == f"{100 * max(relative):.0f} %"  # of five seeds and fewer the interval is their range
    with pytest.raises(InputError, match="no trained clipped critic here"):
        by_clip(frame([row for row in ROWS if row["method.lr_unit"] != "clip" or row["critic"] == "untrained"]))
    with pytest.raises(InputError, match=r"differ in method.lr;"):
        by_clip(frame([row | {"method.lr": 0.1 * (k % 2)} for k, row in enumerate(ROWS)]))


def test_the_most_frequent_rows_are_of_one_problem_and_then_of_one_mode() -> None:
    found = most_frequent(frame())
    assert set(zip(found["problem.name"], found["sampling.mode"], strict=True)) == {("p", "independent")}
    assert len(most_frequent(frame().head(0))) == 0
    tied = frame([row for row in ROWS if row["critic"] == "weight_clip" and row["seed"] == 0])
    tied = tied[(tied["problem.name"] == "q") | (tied["method.lr_unit"] == "clip")]
    two = pd.concat([tied[tied["problem.name"] == name].head(3) for name in ("q", "p")])
    assert set(most_frequent(two)["problem.name"]) == {"p"}, "of as many of either, the first by name"


def test_the_headline_has_the_medians_of_every_cell_and_says_how_many_seeds_have_numbers() -> None:
    table = headline(frame())
    keys = [name for name in table if "." in str(name) or name == "critic"]
    assert set(MEASURED) < set(table)
    assert table["cells"].sum() == len(ROWS)
    for line in table.to_dict("records"):
        told = {str(name): None if pd.isna(line[name]) else line[name] for name in keys}
        here = [row for row in ROWS if told.items() <= row.items()]
        ok = [row for row in here if row["status"] == "ok"]
        assert (line["cells"], line["ok"]) == (len(here), len(ok))
        for name in MEASURED:
            assert line[name] == statistics.median(row[name] for row in ok), name
    first = table.iloc[0]
    assert (first["problem.name"], first["sampling.mode"]) == ("p", "independent"), "where most cells are"
    shown = labelled(table)
    assert "3 of 4" in set(shown["ok"])
    assert set(MEASURED.values()) < set(shown)
    assert set(labelled(table[table["ok"] == table["cells"]])) == set(shown) - {"ok"}


def test_what_is_lost_to_scale_and_to_shape_adds_up_to_the_loss() -> None:
    """Of one pair per dimension; with its interval each, and published scores, which have none, in the middle."""
    rng = np.random.default_rng(1)
    ours = {"cosine": "cosine", "gradient_l2_of_scale": "of it scale", "gradient_l2_repaired": "shape"}
    theirs = {"published_cos": "published", "published_l2": "published l2", "best_published_cos": "best method's"}
    pairs = [{"dim": dim, "method": "wgan"} | {name: float(rng.uniform(0, 1)) for name in theirs}
             for dim in (2, 2, 2, 4, 4)]  # fmt: skip
    others = [pair | {"method": "sn-gan"} | dict.fromkeys(theirs, 9.0) for pair in pairs]
    lines = []
    for dim, clip, steps in ((2, 0.04, 9), (4, 0.04, 9), (2, 0.08, 9), (4, 0.04, 3), (8, 0.04, 9), (2, None, 99)):
        line = {"problem.dim": dim, "method.clip": clip, "method.steps": steps}
        for end in ("", "_low", "_high"):
            line |= {f"{name}{end}": float(rng.uniform(0, 1)) for name in ours}
            line[f"gradient_l2{end}"] = line[f"gradient_l2_of_scale{end}"] + line[f"gradient_l2_repaired{end}"]
        lines.append(line)
    table = gap(pd.DataFrame(lines).astype({"method.steps": "Int64"}), pd.DataFrame(pairs + others)).set_index("d")
    assert list(table.index) == [2, 4]
    assert set(table) == {*ours.values(), *theirs.values(), "l2"}
    for line, dim in zip(lines, (2, 4), strict=False):
        for name, heading in (ours | {"gradient_l2": "l2"}).items():
            middle, low, high = (f"{line[f'{name}{end}']:.3g}" for end in ("", "_low", "_high"))
            assert table.loc[dim, heading] == f"{middle} [{low}, {high}]"
        for name, heading in theirs.items():
            due = statistics.median(pair[name] for pair in pairs if pair["dim"] == dim)
            assert table.loc[dim, heading] == pytest.approx(due)
    with pytest.raises(InputError, match=r"no critic here was clipped to 0\.04, as published"):
        gap(pd.DataFrame(lines), pd.DataFrame(others))
