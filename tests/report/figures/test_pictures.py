"""Pictures: each is drawn where its rows are, left out where they are not, and its bytes depend on the rows alone."""

import contextlib
from pathlib import Path

import matplotlib as mpl
import numpy as np
from command_line import called
from matplotlib.figure import Figure

from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.runner import run_experiment
from otbench.report.figures.pictures import PICTURES, write_figures
from otbench.report.figures.style import STYLE, save
from otbench.report.figures.surfaces import write_portraits
from otbench.results.folder import Stored
from otbench.results.store import Results

COMMITTED = Path(__file__).parents[3] / "results"

#: Small enough to be run in a test, with every picture of a matrix.
SWEEP = """
question = "Small?"
[[block]]
seeds = [0, 1]
problem = { name = "shared_mass", dim = [2, 4], overlap = [0.0, 0.5] }
sampling = { n = 24, mode = ["coupled", "independent"] }
method = [
  { name = "zero" },
  { name = "weight_clip", clip_over_c_star = [0.1, 1.0, 10.0], depth = [1, 2], steps = 20, lr = 0.5, lr_unit = "clip" },
  { name = "weight_clip", clip_over_c_star = [0.1, 1.0, 10.0], depth = [1, 2], steps = 20 },
]
"""

FUNNELS = """
question = "Small?"
[[block]]
seeds = [0]
problem = { name = "funnels", dim = 2, funnels = 4 }
sampling = { n = 16, mode = "population" }
method = { name = "weight_clip", widths = [4], clip = [0.01, 0.1, 1], steps = 9, batch = 4, lr = 0.1, lr_unit = "clip"}
"""


def ran(folder: Path, text: str) -> Results:
    (folder / "small.toml").write_text(text)
    run_experiment(load_experiment(str(folder / "small.toml")), folder / "small")
    return Results(folder / "small")


def test_data_of_one_s_own_have_what_pictures_they_can_and_reasons_for_the_others(tmp_path: Path) -> None:
    """The README's experiment: samples without laws, critics at the optimiser's own rate."""
    rng = np.random.default_rng(0)
    for name in ("x", "y"):
        np.save(tmp_path / f"{name}.npy", rng.standard_normal((20, 3)) + (name == "y"))
    text = 'question = "Mine?"\n[[block]]\nseeds = [0, 1]\nproblem = { name = "arrays", x = "x.npy", y = "y.npy" }\n'
    text += 'method = [{ name = "linear" }, { name = "weight_clip", clip = [0.01, 0.1], widths = [4], steps = 9 }]\n'
    with contextlib.chdir(tmp_path):
        results = ran(tmp_path, text)
    told: list[str] = []
    drawn = {file.stem for file in write_figures(Stored(results), say=told.append)}
    assert drawn == {"clip", "ladder"}
    assert {reason.split(": ")[1]: reason.split(": ")[2] for reason in told} == {
        "no picture edge": "no clip value is swept here in units of c* (method field clip_over_c_star)",
        "no picture heat": "no shared mass here has two overlaps and two clip values at rates in proportion to c",
        "no picture errors": "no row here is of independent samples of laws whose W1 is known and above 0",
    }
    caption = (results.folder / "figures" / "ladder.svg").read_text()
    assert "What each critic proves of W1 of the samples: your samples" in caption


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    texts = []
    for folder in ("one", "other"):
        with mpl.rc_context(STYLE):
            figure = PICTURES["speed"](Stored(Results(COMMITTED / "timing")))
            assert isinstance(figure, Figure)
            svg, _ = save(figure, tmp_path / folder / "speed")
        texts.append(svg.read_bytes())
    assert texts[0] == texts[1]


def test_portraits_are_critics_trained_anew_and_only_of_funnels_in_the_plane(
    sweep_results: Results, tmp_path: Path
) -> None:
    assert write_portraits(Stored(sweep_results)) == []
    files = write_portraits(Stored(ran(tmp_path, FUNNELS)))
    assert [file.name for file in files] == ["surfaces.svg", "surfaces.png"]
    assert all(f"c = {c:g}" in files[0].read_text() for c in (0.01, 0.1, 1.0))


def test_advise_speaks_from_the_rule_that_came_with_it(tmp_path: Path) -> None:
    done = called("advise", "--dim", "16", "--widths", "64,64", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.out.startswith("c* = 0.0394: the largest clip value that certifies a 1-Lipschitz critic")
    assert "otbench.monitor(" in done.out


def test_advise_takes_samples_and_refuses_what_does_not_fit_them(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / f"{name}.csv").write_text("a,b\n0,1\n2,3\n4,5\n" if name == "x" else "a,b\n1,1\n3,3\n9,5\n")
    two = ("--data", "x.csv", "y.csv")
    done = called("advise", "--dim", "2", "--widths", "64,64", *two, cwd=tmp_path)
    assert done.code == 0, done.err
    for arguments, rule in (
        (("--dim", "3", "--widths", "64", *two), "--dim is 3, but the samples have dimension 2"),
        (("--dim", "2", "--widths", "6x"), "--widths takes whole numbers with commas between"),
        (("--dim", "2", "--widths", "0"), "widths must be at least 1"),
    ):
        done = called("advise", *arguments, cwd=tmp_path)
        assert done.code == 2
        assert rule in done.err
        assert done.err.count("\n") == 1
