"""Which pictures a results folder has, and how they are written."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.clip import clip
from otbench.report.figures.convergence import convergence
from otbench.report.figures.critics import critics
from otbench.report.figures.diagonal import diagonal
from otbench.report.figures.edge import edge
from otbench.report.figures.errors import errors
from otbench.report.figures.gan import generator
from otbench.report.figures.growth import growth
from otbench.report.figures.heat import heat
from otbench.report.figures.laws import laws
from otbench.report.figures.losses import losses
from otbench.report.figures.pricing import pricing
from otbench.report.figures.published import published
from otbench.report.figures.seconds import seconds
from otbench.report.figures.speed import speed
from otbench.report.figures.style import STYLE, save
from otbench.results.folder import Stored
from otbench.results.tables.timing import scaling


def _growth(stored: Stored) -> Figure:
    return growth(stored.tables["solvers"], stored.meta.get("machines", {}))


def _convergence(stored: Stored) -> Figure:
    return convergence(stored.tables["convergence"], stored.tables["errors"])


def _of_values(stored: Stored, draw: Callable[[pd.DataFrame], Figure | None]) -> Figure | None:
    """A picture of cells whose W1 has a value; None where there are none."""
    return None if stored.is_study or stored.valued.empty else draw(stored.valued)


#: Every picture by its file name: it is drawn of a results folder, and None where the folder has not what it shows.
PICTURES: dict[str, Callable[[Stored], Figure | None]] = {
    "generator": lambda stored: generator(stored.frame) if stored.kind == "generator" else None,
    "speed": lambda stored: speed(scaling(stored.frame)) if stored.kind == "timing" else None,
    "growth": lambda stored: _growth(stored) if stored.kind == "growth" else None,
    "convergence": lambda stored: _convergence(stored) if stored.kind == "convergence" else None,
    "pricing": lambda stored: pricing(stored.frame) if stored.kind == "pricing" else None,
    "saturation": lambda stored: losses(stored.tables["saturation"]) if "saturation" in stored.tables else None,
    "laws": lambda stored: laws(stored.tables["laws"]) if "laws" in stored.tables else None,
    "published": lambda stored: published(stored.tables["methods"]) if "methods" in stored.tables else None,
    "critics": lambda stored: critics(stored.tables["critics"]) if "critics" in stored.tables else None,
    "clip": lambda stored: _of_values(stored, clip),
    "edge": lambda stored: _of_values(stored, edge),
    "heat": lambda stored: _of_values(stored, heat),
    "diagonal": lambda stored: _of_values(stored, diagonal),
    "errors": lambda stored: _of_values(stored, errors),
    "seconds": lambda stored: _of_values(stored, lambda frame: seconds(frame, stored.clock)),
}


def write_figures(stored: Stored) -> list[Path]:
    """Write every picture of a results folder as SVG and PNG and return the files; equal rows give equal SVG bytes."""
    files = []
    with mpl.rc_context(STYLE):
        for name, draw in PICTURES.items():
            figure = draw(stored)
            if figure is not None:
                files += save(figure, stored.results.folder / "figures" / name)
    return files
