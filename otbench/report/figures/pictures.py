"""Which pictures a results folder has, and how they are written."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from otbench.report.figures.captions import recipe, values
from otbench.report.figures.clip import clip
from otbench.report.figures.convergence import convergence
from otbench.report.figures.critics import critics
from otbench.report.figures.edge import edge
from otbench.report.figures.errors import errors
from otbench.report.figures.gan import generator
from otbench.report.figures.growth import growth
from otbench.report.figures.heat import heat
from otbench.report.figures.ladder import ladder
from otbench.report.figures.laws import laws
from otbench.report.figures.losses import losses
from otbench.report.figures.pricing import pricing
from otbench.report.figures.published import published
from otbench.report.figures.speed import speed
from otbench.report.figures.style import STYLE, save
from otbench.results.folder import Stored
from otbench.results.tables.timing import scaling

#: A picture; why a folder that might have it has none; or None where it is of another kind of folder.
Drawn = Figure | str | None


def _growth(stored: Stored) -> Figure:
    return growth(stored.tables["solvers"], stored.meta.get("machines", {}))


def _convergence(stored: Stored) -> Figure:
    return convergence(stored.tables["convergence"], stored.tables["errors"])


def _critics(stored: Stored) -> Figure:
    return critics(stored.tables["critics"], values(stored.frame["n"]))


def _losses(stored: Stored) -> Figure:
    return losses(stored.tables["saturation"], recipe(stored.frame))


def _of_values(stored: Stored, draw: Callable[[pd.DataFrame], Drawn]) -> Drawn:
    """A picture of cells whose W1 has a value."""
    if stored.is_study:
        return None
    return "no row here has a W1 that is a value and not an interval" if stored.valued.empty else draw(stored.valued)


#: Every picture by its file name, and what draws it of a results folder.
PICTURES: dict[str, Callable[[Stored], Drawn]] = {
    "generator": lambda stored: generator(stored.frame) if stored.kind == "generator" else None,
    "speed": lambda stored: speed(scaling(stored.frame)) if stored.kind == "timing" else None,
    "growth": lambda stored: _growth(stored) if stored.kind == "growth" else None,
    "convergence": lambda stored: _convergence(stored) if stored.kind == "convergence" else None,
    "pricing": lambda stored: pricing(stored.frame) if stored.kind == "pricing" else None,
    "saturation": lambda stored: _losses(stored) if "saturation" in stored.tables else None,
    "laws": lambda stored: laws(stored.tables["laws"]) if "laws" in stored.tables else None,
    "published": lambda stored: published(stored.tables["methods"]) if "methods" in stored.tables else None,
    "critics": lambda stored: _critics(stored) if "critics" in stored.tables else None,
    "clip": lambda stored: _of_values(stored, clip),
    "edge": lambda stored: _of_values(stored, edge),
    "heat": lambda stored: _of_values(stored, heat),
    "ladder": lambda stored: _of_values(stored, ladder),
    "errors": lambda stored: _of_values(stored, errors),
}


def write_figures(stored: Stored, say: Callable[[str], None] = lambda reason: None) -> list[Path]:
    """Write every picture of a results folder as SVG and PNG and return the files; equal rows give equal bytes.

    Args:
        stored: the folder.
        say: is told of every picture that is not drawn, and why.
    """
    files = []
    with mpl.rc_context(STYLE):
        for name, draw in PICTURES.items():
            drawn = draw(stored)
            if isinstance(drawn, Figure):
                files += save(drawn, stored.results.folder / "figures" / name)
            elif drawn:
                say(f"{stored.results.folder.name}: no picture {name}: {drawn}")
    return files
