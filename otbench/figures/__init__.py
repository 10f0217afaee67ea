"""Rows → pictures: the figures of a results folder, one idea a file."""

from pathlib import Path

import matplotlib as mpl

from otbench.figures.clip import clip
from otbench.figures.generator import generator
from otbench.figures.saturation import saturation
from otbench.figures.speed import speed
from otbench.figures.style import STYLE, save
from otbench.rows import Results
from otbench.stored import Stored
from otbench.timetables import scaling


def write_figures(results: Results) -> list[Path]:
    """Every figure of a results folder as SVG and PNG; the same rows give the same SVG bytes."""
    stored = Stored(results)
    with mpl.rc_context(STYLE):
        if stored.generator:
            drawn = {"generator": generator(stored.frame)}
        elif stored.measurements:
            drawn = {"speed": speed(scaling(stored.frame))}
        elif "saturation" in stored.tables:
            drawn = {"saturation": saturation(stored.tables["saturation"])}
        else:
            drawn = {"clip": clip(stored.frame)}
        return [file for name, figure in drawn.items() for file in save(figure, results.folder / "figures" / name)]
