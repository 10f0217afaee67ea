"""The picture of laws: every line and every band is the table's, over the known W1, in its own panel."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.laws import DRAWN_BOUNDS, laws

#: W1 of the laws by problem: of "lift" it is 0, so that its bounds are drawn in the data's unit.
KNOWN = {"spheres": 4.0, "translation": 0.5, "lift": 0.0}

SIZES, CRITICS = (16, 32, 64), {"zero": (None,), "weight_clip": (0.1, 0.5), "potential": (None,), "linear": (None,)}


def table() -> pd.DataFrame:
    """Lines in which no two numbers are alike, sizes not in order."""
    lines: list[dict[str, Any]] = []
    for problem, w1 in KNOWN.items():
        for dim in (2, 8):
            for critic, clips in CRITICS.items():
                for clip in clips:
                    for n in (SIZES[2], SIZES[0], SIZES[1]):
                        size = 1.0 + len(lines) / 7
                        lines.append({
                            "problem.name": problem, "problem.dim": dim, "sampling.n": n, "sampling.fresh": 99,
                            "method.clip": clip, "method.depth": 2, "method.lr": 0.1,
                            "method.lr_unit": "clip", "critic": critic, "population_w1": w1,
                            "upper": 3.0 * size,
                            **{f"{name}_{end}": times * size for name, middle in (("slope", 2.0), ("held_out", 1.0))
                               for end, times in (("median", middle), ("low", middle - 0.6), ("high", middle + 0.3))},
                        })  # fmt: skip
    return pd.DataFrame(lines)


def bands(axes: Axes) -> list[dict[float, tuple[float, float]]]:
    """The lowest and the highest corner of every band, by place."""
    found = []
    for band in axes.collections:
        corners = band.get_paths()[0].vertices
        found.append({float(x): (float(np.min(y)), float(np.max(y)))
                      for x in np.unique(corners[:, 0]) for y in [corners[corners[:, 0] == x, 1]]})  # fmt: skip
    return found


def test_every_line_and_band_of_the_laws_is_the_tables_over_w1() -> None:
    rows = table()
    figure = laws(rows)
    assert isinstance(figure, Figure)
    grid = np.array(figure.axes, dtype=object).reshape(3, 2)
    for panels, (problem, w1) in zip(grid, KNOWN.items(), strict=True):
        assert panels[0].get_ylabel() == (problem if w1 else "equal laws")
        for panel, dim in zip(panels, (2, 8), strict=True):
            assert grid[0][(2, 8).index(dim)].get_title() == f"d = {dim}"
            part = rows[(rows["problem.name"] == problem) & (rows["problem.dim"] == dim)]
            due, ends = [], []
            for column, critic, _, label in DRAWN_BOUNDS:
                for clip in CRITICS[critic]:
                    own = part[(part["critic"] == critic) & (part["method.clip"].fillna(0.0) == (clip or 0.0))]
                    own, unit = own.sort_values("sampling.n"), w1 or 1.0
                    name = column if column == "upper" else f"{column}_median"
                    told = label if clip is None else f"{label}, c = {clip:g}"
                    due.append((told, (own[name] / unit).tolist(), {0.1: "o", 0.5: "s"}.get(clip or 0.0)))
                    if column != "upper":
                        low, high = (own[f"{column}_{end}"] / unit for end in ("low", "high"))
                        ends.append(dict(zip(SIZES, zip(low, high, strict=True), strict=True)))
            drawn = [line for line in panel.get_lines() if not line.get_label().startswith("_")]
            assert [line.get_label() for line in drawn] == [label for label, *_ in due]
            for line, (_, values, marker) in zip(drawn, due, strict=True):
                assert marker in (None, line.get_marker()), "clip values are told apart"
                assert list(line.get_xdata()) == list(SIZES)
                assert list(line.get_ydata()) == pytest.approx(values)
            for seen, expected in zip(bands(panel), ends, strict=True):
                assert {x: pytest.approx(y) for x, y in seen.items()} == expected
            (mark,) = [line for line in panel.get_lines() if line.get_label().startswith("_")]
            assert set(mark.get_ydata()) == {1.0 if w1 else 0.0}
    plt.close("all")


def test_laws_that_were_sampled_in_one_size_are_not_drawn() -> None:
    rows = table()
    assert laws(rows[rows["sampling.n"] == SIZES[0]]) == "no law whose W1 is known was sampled in two sizes"
    fewer = laws(rows[(rows["problem.name"] != "spheres") | (rows["sampling.n"] == SIZES[0])])
    assert isinstance(fewer, Figure)
    assert [axes.get_ylabel() for axes in fewer.axes[::2]] == ["translation", "equal laws"]
    plt.close("all")


def test_laws_whose_w1_is_not_known_are_not_drawn_as_equal_ones() -> None:
    rows = table()
    figure = laws(rows.assign(population_w1=rows["population_w1"].where(rows["problem.name"] != "spheres")))
    assert isinstance(figure, Figure)
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["translation", "equal laws"]
    assert isinstance(laws(rows.assign(population_w1=np.nan)), str)
    plt.close("all")
