"""The pictures of "How to read the numbers", of exact solves and of committed results.

``python docs/_ext/pictures.py`` draws them. The same results give the same bytes: nothing is trained.
"""

import io
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import otbench
from otbench.files import write_atomically
from otbench.report.figures.style import COLOURS, STYLE

DOCS = Path(__file__).parents[1]
RESULTS = DOCS.parent / "results"

#: The points of the first picture, on a line.
X, Y = np.array([3.0, 4.0, 4.6, 5.5, 7.0]), np.array([0.4, 1.2, 2.4, 3.6, 5.0])

#: The rungs from the coarsest to W1 itself, with what each divides by or does.
RUNGS = {
    "clip_bound": "raw / K(c): needs only c and the widths",
    "spectral": "raw / product of spectral norms",
    "slope": "raw / largest slope between the samples",
    "c_transform": "best dual value of any multiple",
    "primal": "W1 of the samples, exact",
}

#: The cells of the ladder, medians over whose seeds are drawn.
LADDER = {
    "problem.name": "shared_mass", "problem.dim": 8, "problem.overlap": 0.5, "sampling.mode": "independent",
    "critic": "weight_clip", "method.clip": 0.1, "method.lr_unit": "clip",
}  # fmt: skip

#: The lines of the table of laws that are drawn.
LAWS = {"problem.name": "shared_mass", "problem.overlap": 0.5, "sampling.n": 1024, "critic": "linear"}


def critic(z: np.ndarray) -> np.ndarray:
    """A critic of the line as clipping leaves it: it grows, here steeply and there hardly at all."""
    return 0.9 * np.tanh(1.2 * (z - 3.2)) + 0.12 * z


def on_the_line() -> tuple[otbench.Bounds, tuple[int, int]]:
    """The ladder of ``critic`` on the points of the line, and the pair of points between which it is steepest."""
    pair = X[:, None], Y[:, None]
    w1 = otbench.solve_exact(*pair).w1
    bounds = otbench.lower_bounds(critic(X), critic(Y), otbench.cost_matrix(*pair), primal=w1)
    slopes = (critic(X)[:, None] - critic(Y)) / np.abs(X[:, None] - Y)
    i, j = np.unravel_index(slopes.argmax(), slopes.shape)
    return bounds, (int(i), int(j))


def line() -> Figure:
    """Raw and the largest slope of a critic on the line, and the critic once it is divided by that slope."""
    bounds, (i, j) = on_the_line()
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.4), layout="constrained")
    z = np.linspace(0, 7.5, 300)
    left.plot(z, critic(z), color="0.4", label="the critic f")
    left.plot(X, critic(X), "o", color=COLOURS[0], label="at the points x")
    left.plot(Y, critic(Y), "s", color=COLOURS[1], label="at the points y")
    high, low = critic(X).mean(), critic(Y).mean()
    left.hlines([high, low], 0, 7.5, colors=[COLOURS[0], COLOURS[1]], linestyles="dotted")
    left.annotate("", (0.35, high), (0.35, low), arrowprops={"arrowstyle": "<->"})
    left.text(0.5, (high + low) / 2, f"raw = {bounds.raw:.2f}", va="center")
    left.plot([Y[j], X[i]], critic(np.array([Y[j], X[i]])), color=COLOURS[2], linewidth=2.5, zorder=1)
    left.annotate(
        f"steepest pair:\nslope {bounds.slope_constant:.2f}", (Y[j], critic(Y[j])), (4.6, -0.75),
        arrowprops={"arrowstyle": "-", "color": COLOURS[2]}, color=COLOURS[2],
    )  # fmt: skip
    left.set(title="What the critic says", xlabel="place on the line", ylabel="f, in the critic's own unit")
    left.legend(loc="upper left", fontsize=7.5)
    left.set_ylim(-1.25, 2.9)
    right.plot(z, critic(z) / bounds.slope_constant, color="0.4", label="f / its largest slope")
    right.plot(z, z - 3.2 + critic(np.array([3.2]))[0] / bounds.slope_constant, color=COLOURS[3], linestyle="dashed",
               label="slope 1 everywhere, the exact potential")  # fmt: skip
    right.set(
        title=f"What it proves: {bounds.slope:.2f} of W1 = {bounds.primal:.2f}", xlabel="place on the line",
        ylabel="in the data's unit",
    )  # fmt: skip
    right.legend(loc="upper left", fontsize=7.5)
    return figure


def of_ladder() -> "pd.Series[float]":
    """Medians over seeds of every rung as a share of W1, of the cells in ``LADDER``, with raw and nearest."""
    frame = _fitting(otbench.load(RESULTS / "matrix"), LADDER)
    names = ["raw", *(rung for rung in RUNGS if rung != "primal"), "nearest"]
    return frame[[f"{name}_over_w1" for name in names]].median().set_axis(names)


def ladder() -> Figure:
    """The rungs of one critic as bars up to W1."""
    shares = of_ladder()
    figure, axes = plt.subplots(figsize=(8.2, 2.9), layout="constrained")
    for k, (rung, told) in enumerate(RUNGS.items()):
        share = 1.0 if rung == "primal" else float(shares[rung])
        axes.barh(-k, share, color="0.25" if rung == "primal" else COLOURS[0], height=0.62)
        axes.text(share + 0.012, -k, f"{share:.2f}", va="center")
        axes.text(1.13, -k, told, va="center")
    axes.axvline(1, color="0.25", linewidth=1)
    axes.axvline(shares["nearest"], color=COLOURS[1], linestyle="dashed", linewidth=1.2)
    told = f"nearest, without a critic: {shares['nearest']:.2f}"
    axes.text(shares["nearest"] - 0.015, 0.68, told, color=COLOURS[1], ha="right")
    axes.set(yticks=-np.arange(len(RUNGS)), yticklabels=list(RUNGS), xlim=(0, 1.9), ylim=(-4.5, 1.15))
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_xlabel("share of the exact W1 of the samples", loc="left")
    axes.set_title(
        f"One clipped critic, c = 0.1, printed {shares['raw']:.2f} W1 as raw\n"
        "shared mass, d = 8, overlap 0.5, 1024 independent points, medians of 5 seeds", loc="left",
    )  # fmt: skip
    axes.grid(axis="y", visible=False)
    return figure


def of_laws() -> pd.DataFrame:
    """What is told of W1 of the laws and of the samples, by dimension."""
    table = pd.read_csv(RESULTS / "certify" / "tables" / "laws.csv")
    columns = ["problem.dim", "population_w1", "held_out_lower_median", "primal_median", "upper_bound"]
    return _fitting(table, LAWS)[columns].sort_values("problem.dim", ignore_index=True)


def laws() -> Figure:
    """W1 of samples beside the bracket of W1 of the laws, by dimension."""
    table = of_laws()
    figure, axes = plt.subplots(figsize=(8.2, 3.1), layout="constrained")
    at = np.arange(len(table))
    axes.vlines(at, table["held_out_lower_median"], table["upper_bound"], color=COLOURS[0], linewidth=6, alpha=0.45,
                label="bracket of W1 of the laws, 95 % from each side")  # fmt: skip
    axes.plot(at, table["primal_median"], "D", color=COLOURS[1], label="exact W1 of 1024 + 1024 points")
    axes.axhline(1, color="0.25", linewidth=1.2, label="W1 of the laws, which is 1")
    axes.set(xticks=at, xticklabels=[f"d = {dim}" for dim in table["problem.dim"]], ylabel="in the data's unit")
    axes.set(title="Shared mass, overlap 0.5: the samples move apart, their laws do not", ylim=(0, None))
    axes.set_xlim(-0.6, len(table) - 0.4)
    axes.legend(loc="upper left")
    return figure


#: Every picture by its file's name.
DRAWN = {"line": line, "ladder": ladder, "laws": laws}


def svg(name: str) -> bytes:
    """A picture as SVG."""
    out = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure = DRAWN[name]()
        figure.savefig(out, format="svg", metadata={"Date": None})
        plt.close(figure)
    return out.getvalue()


def _fitting(frame: pd.DataFrame, values: dict[str, object]) -> pd.DataFrame:
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame


if __name__ == "__main__":
    mpl.use("agg")
    for name in DRAWN:
        write_atomically(DOCS / "pictures" / f"{name}.svg", svg(name))
        print(f"docs/pictures/{name}.svg")
