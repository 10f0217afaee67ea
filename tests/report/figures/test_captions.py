"""Every picture says what it shows, its legends cover no data, and its letters are readable in a paper's column."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure, SubFigure
from matplotlib.text import Text

from otbench.report.figures.captions import rate
from otbench.report.figures.critics import critics
from otbench.report.figures.pictures import PICTURES
from otbench.report.figures.style import COLUMN_WIDTH, STYLE, describe, few_ticks, legend_below, panels
from otbench.results.folder import Stored
from otbench.results.store import Results

COMMITTED = Path(__file__).parents[3] / "results"

#: Pictures of committed studies, which are quick to draw.
OF_STUDIES = {"growth": "growth", "convergence": "convergence", "pricing": "pricing", "timing": "speed",
              "generator": "generator"}  # fmt: skip

#: Points that letters have at least where a picture is shrunk to a column.
LEAST_POINTS = 5.0


def faults(figure: Figure) -> list[str]:
    """What a reader could not read of a figure that has been laid out."""
    figure.draw_without_rendering()
    found = []
    groups: list[Figure | SubFigure] = [figure, *figure.subfigs]
    boxes = {axes: axes.get_window_extent() for axes in figure.axes if axes.get_visible()}
    for axes, box in boxes.items():
        if axes.get_legend() is not None:
            found.append("a legend within a panel")
        for legend in [legend for group in groups for legend in group.legends]:
            covered, name = legend.get_window_extent(), axes.xaxis.label
            if covered.overlaps(box):
                found.append(f"a legend over the panel {axes.get_title()!r}")
            if name.get_text() and covered.overlaps(name.get_window_extent()):
                found.append("a legend over the name of an axis")
    caption = figure._suptitle  # matplotlib has no public way to the box of a title
    if caption is None or "\n" not in caption.get_text():
        return [*found, "no caption"]
    if caption.get_window_extent().x1 > figure.bbox.x1:
        found.append("a caption wider than the picture")
    if any(caption.get_window_extent().overlaps(axes.title.get_window_extent()) for axes in boxes):
        found.append("a caption over a title")
    shrunk = min(1.0, COLUMN_WIDTH / figure.get_figwidth())
    small = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()
             and text.get_fontsize() * shrunk < LEAST_POINTS]  # fmt: skip
    found += [f"letters too small: {small[0].get_text()!r}"] if small else []
    return found


def says(figure: Figure, *words: str) -> bool:
    caption = " ".join(figure.get_suptitle().split())
    return all(word in caption for word in words)


@pytest.mark.parametrize(
    "folder", [pytest.param(name, marks=pytest.mark.slow if name == "generator" else ()) for name in OF_STUDIES]
)
def test_every_picture_of_a_study_is_readable_and_says_what_it_shows(folder: str) -> None:
    with mpl.rc_context(STYLE):
        figure = PICTURES[OF_STUDIES[folder]](Stored(Results(COMMITTED / folder)))
        assert isinstance(figure, Figure)
        assert faults(figure) == []
    assert says(figure, "Marks are means" if folder == "convergence" else "edian", " n")
    plt.close("all")


def test_the_contest_of_critics_is_readable_and_says_what_it_shows() -> None:
    table = pd.read_csv(COMMITTED / "critics" / "tables" / "critics.csv")
    with mpl.rc_context(STYLE):
        figure = critics(table, "1024")
        assert faults(figure) == []
    assert says(figure, "n = 1024, 1500 steps", "balls, funnels, translation", "the rate", "Lines are 95 % intervals")
    plt.close("all")


def test_every_picture_of_a_matrix_is_readable_and_says_what_it_shows(sweep_results: Results) -> None:
    stored = Stored(sweep_results)
    with mpl.rc_context(STYLE):
        drawn = {name: figure for name, draw in PICTURES.items() if (figure := draw(stored)) is not None}
        assert set(drawn) == {"clip", "edge", "heat", "ladder", "errors"}
    for name, figure in drawn.items():
        assert isinstance(figure, Figure)
        with mpl.rc_context(STYLE):
            assert faults(figure) == [], name
        assert says(figure, "shared mass", "n = 24", "rate", "20 steps", "2 seeds", "edian"), name
    plt.close("all")


def test_rates_are_told_where_no_method_has_a_unit_of_them_too() -> None:
    rows = pd.DataFrame({"method.lr": [0.01, 0.1, None], "method.lr_unit": ["clip", None, None]})
    assert rate(rows) == "rate 0.01 c or 0.1"
    assert rate(rows[["method.lr"]]) == "rate 0.01 to 0.1"
    assert rate(rows[["method.lr_unit"]]) == ""
    of_two = pd.DataFrame({"method.lr": [0.1, 0.1], "method.lr_unit": ["absolute", None]})
    assert rate(of_two) == "rate 0.1", "said once, whether the method has units of rates or none"


@pytest.mark.parametrize("limits", [(0.36, 6.6), (0.5, 90.0), (2.0, 9.0), (0.9, 11.0), (0.5, 120.0), (1e-7, 1e5)])
def test_a_logarithmic_axis_has_labels_enough_to_read_it(limits: tuple[float, float]) -> None:
    figure, grid = panels(1, 1, 1.9)
    axis = grid[0, 0].xaxis
    grid[0, 0].set(xscale="log", xlim=limits)
    few_ticks(axis)
    figure.draw_without_rendering()
    labels = [label.get_text() for place, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
              if limits[0] <= place <= limits[1]]  # fmt: skip
    plt.close(figure)
    assert len([text for text in labels if text]) >= 2


def test_what_could_not_be_read_would_be_found() -> None:
    with mpl.rc_context(STYLE):
        figure, grid = panels(1, 2, 2.0)
        grid[0][0].plot([0, 1], label="a")
        grid[0][0].legend()
        assert faults(figure) == ["a legend within a panel", "no caption"]
        grid[0][0].get_legend().remove()
        legend_below(figure, grid.flat, 1)
        describe(figure, "A title", "A sentence.")
        assert faults(figure) == []
        grid[0][1].text(0.5, 0.5, "small", fontsize=6)
        assert faults(figure) == ["letters too small: 'small'"]
        figure.legend(loc="center left", handles=grid[0][0].get_lines())
        assert "a legend over the panel ''" in faults(figure)
    plt.close("all")
