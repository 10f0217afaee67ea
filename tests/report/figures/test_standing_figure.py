"""The picture of critics of one's own: every mark is a number of the table, and one's own are told apart."""

from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from test_captions import faults, says

from otbench.report.figures.standing import standing
from otbench.report.figures.style import COLOURS, STYLE

SCORED = ("samples", "laws", "direction")

#: Where the marks of a critic, and the ends of its line, lie in a panel.
Places = dict[str, tuple[float, float, float]]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    with mpl.rc_context(STYLE):
        yield
    plt.close("all")


def table(laws_of_mine: float | None) -> pd.DataFrame:
    lines = [("orthonormal", False, 0.9, 0.8, 0.7), ("a convolution of mine", True, 0.6, laws_of_mine, 0.5),
             ("weight clipping", False, 0.5, -0.2, 0.4)]  # fmt: skip
    frame = pd.DataFrame(lines, columns=["critic", "own", *SCORED]).astype(dict.fromkeys(SCORED, "float64"))
    for name in SCORED:
        frame = frame.assign(**{f"{name}_low": frame[name] - 0.1, f"{name}_high": frame[name] + 0.3})
    return frame


def shown(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_visible()]


def places(axes: Axes, names: list[str]) -> Places:
    """The critics of a panel with the marks and the ends of the lines that are drawn at their names."""
    ends = {}
    for lines in axes.collections:
        for path in lines.get_paths():
            (low, at), (high, _) = path.vertices
            ends[round(float(at))] = float(low), float(high)
    found = {}
    for line in axes.get_lines():
        if line.get_linestyle() == "None":
            for mark, at in zip(*line.get_data(), strict=True):
                found[names[at]] = (ends[at][0], float(mark), ends[at][1])
    return found


def test_marks_and_lines_are_the_numbers_of_the_table() -> None:
    numbers = table(0.5)
    figure = standing(numbers, True, "n = 5.")
    names = [text.get_text() for text in shown(figure)[0].get_yticklabels()]
    assert names == list(numbers["critic"])[::-1], "the best is on top"
    for axes, score in zip(shown(figure), SCORED, strict=True):
        told = places(axes, names)
        for _, row in numbers.iterrows():
            assert told[row["critic"]] == pytest.approx((row[f"{score}_low"], row[score], row[f"{score}_high"]))
        low, high = axes.get_xlim()
        assert low < numbers[f"{score}_low"].min()
        assert high > numbers[f"{score}_high"].max(), "no line ends outside the panel"


def test_ones_own_critic_has_letters_and_marks_of_its_own() -> None:
    figure = standing(table(0.5), True, "n = 5.")
    letters = {text.get_text(): text for text in shown(figure)[0].get_yticklabels()}
    assert [name for name, text in letters.items() if text.get_fontweight() == "bold"] == ["a convolution of mine"]
    own = [line for line in shown(figure)[0].get_lines() if line.get_marker() == "D"]
    assert [len(line.get_xdata()) for line in own] == [1]
    assert to_hex(own[0].get_color()).upper() == COLOURS[1]


@pytest.mark.parametrize("is_of_laws", [True, False])
def test_the_picture_is_readable_and_says_what_it_shows(is_of_laws: bool) -> None:
    figure = standing(table(0.5), is_of_laws, "n = 5 and 6.")
    assert faults(figure) == []
    assert says(figure, "Your critic among", "n = 5 and 6.", "holds everywhere. Right", "95 % intervals")
    assert ("of the laws" in shown(figure)[1].get_title()) == is_of_laws


def test_where_a_score_is_missing_words_stand_in_its_place() -> None:
    numbers = table(None).assign(direction=[0.7, np.nan, 0.4])
    figure = standing(numbers, True, "n = 5.")
    names = [text.get_text() for text in shown(figure)[0].get_yticklabels()]
    words = [[(text.get_text(), text.get_position()[1]) for text in axes.texts] for axes in shown(figure)]
    assert words == [[], [("no constant", 1)], [("no gradient", 1)]]
    assert set(places(shown(figure)[1], names)) == {"orthonormal", "weight clipping"}
    only = standing(numbers[numbers["own"]].reset_index(drop=True), True, "n = 5.")
    assert shown(only)[1].get_xlim() == (-0.05, 1.05)
