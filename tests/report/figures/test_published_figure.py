"""The picture of the published benchmark: every mark is a line of the table, in its method's panel, at its pair."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from otbench.report.figures.published import APART, published
from otbench.results.tables.published_methods import PUBLISHED_METHODS

DIMS, FUNNELS = (2, 16, 128), (4, 16, 64)

#: Methods with a published score, not in their order, and those that were trained anew: one of one seed.
THEIRS, OURS = ("cowgan", "wgan", "sn-gan", "wgan-lp", "wgan-gp", "lsot-f"), ("wgan", "sn-gan")


def table() -> pd.DataFrame:
    """Lines in which no two cosines are alike, with references that are no critics."""
    rng, lines = np.random.default_rng(0), []
    for dim in DIMS[::-1]:
        for funnels in FUNNELS:
            for by, names in (("published", (*THEIRS, "true", "dot")), ("otbench", OURS)):
                for name in names:
                    cosine = float(rng.uniform(-1, 1))
                    low, high = (cosine - rng.uniform(), cosine + rng.uniform()) if name == "wgan" else (np.nan, np.nan)
                    ends = {"cos_low": low, "cos_high": high} if by == "otbench" else {}
                    lines.append({"dim": dim, "funnels": funnels, "method": name, "by": by, "setting": "",
                                  "critic": name not in ("true", "dot"), "cos": cosine, **ends})  # fmt: skip
    return pd.DataFrame(lines)


def place(dim: int, funnels: int) -> float:
    return DIMS.index(dim) + APART * (FUNNELS.index(funnels) - 1)


def marks(axes: Axes) -> dict[float, float]:
    """Where the rings are."""
    (rings,) = [line for line in axes.get_lines() if line.get_label() == "published"]
    return dict(zip(rings.get_xdata(), rings.get_ydata(), strict=True))


def bars(axes: Axes) -> dict[float, tuple[float, float, float]]:
    """Our cosines with the ends of their bars; {} where there are none."""
    found = {}
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        line, _, (ends,) = container
        for x, y, segment in zip(line.get_xdata(), line.get_ydata(), ends.get_segments(), strict=True):
            found[x] = (y, segment[0][1], segment[1][1])
    return found


def test_every_method_has_a_panel_with_its_scores_and_those_trained_anew() -> None:
    lines = table()
    figure = published(lines)
    assert isinstance(figure, Figure)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == [m.name for m in PUBLISHED_METHODS if m.name in THEIRS]
    for axes in shown:
        own = lines[lines["method"] == axes.get_title()]
        by = {whose: part.set_index(["dim", "funnels"]) for whose, part in own.groupby("by")}
        due = {place(*pair): cosine for pair, cosine in by["published"]["cos"].items()}
        assert marks(axes) == pytest.approx(due)
        drawn = bars(axes)
        assert (len(drawn) > 0) == (axes.get_title() in OURS)
        for pair, line in by.get("otbench", by["published"][:0]).iterrows():
            ends = (line["cos_low"], line["cos_high"]) if axes.get_title() == "wgan" else (line["cos"],) * 2
            assert drawn.pop(place(*pair)) == pytest.approx((line["cos"], *ends))
        assert not drawn
    labels = [[label.get_text() for label in axes.get_xticklabels()] for axes in shown]
    assert labels == [[], [], *[[str(dim) for dim in DIMS]] * 4], "below the lowest of each column"
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 2
    plt.close("all")


def test_without_published_scores_there_is_no_picture() -> None:
    lines = table()
    assert isinstance(published(lines[lines["by"] == "otbench"]), str)
    assert isinstance(published(lines[~lines["critic"]]), str)
    one = published(lines[(lines["method"] == "wgan") & (lines["funnels"] == 4) & (lines["dim"] == 2)])
    assert isinstance(one, Figure)
    assert list(marks(one.axes[0])) == [0.0], "of one pair, at its dimension"
    plt.close("all")
