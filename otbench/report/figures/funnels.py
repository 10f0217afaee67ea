"""The picture of the funnels' potential in the plane, and of critics beside it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from otbench.errors import InputError
from otbench.methods.functions import Critic
from otbench.problems.funnels import Funnels
from otbench.report.figures.style import COLOURS, describe, panels
from otbench.transport.alignment import alignment
from otbench.types import Array, SamplePair

#: Points on each side of a surface's grid, steps between its contours, rays, and points on which a cosine is computed.
SIDE, CONTOURS, RAYS, SCORED = 81, 12, 40, 4096

#: Surfaces in a row.
SURFACES_ACROSS = 3

#: Light enough everywhere for black rays; one hue, so that only lightness tells high from low.
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#56B4E9", "#3f86b8"])


def surfaces(
    problem: Funnels, critics: Sequence[tuple[str, Critic]], *, seed: int = 0, trained: str = ""
) -> Figure:
    """The optimal potential f = -u of a pair in the plane, and beside it the surface of each critic under its label.

    Every surface is coloured over its own range, which its title tells: the values of a clipped critic differ from the
    potential's by orders of magnitude. In every panel the same rays run from x, a dot, to y. A critic is right where
    its contours cross them at right angles and where it is higher, and hence darker, at the dot.

    Args:
        problem: the pair.
        critics: critics and their labels.
        seed: of the rays.
        trained: how the critics were trained, for the caption.

    Raises:
        InputError: the pair is not in dimension two.
    """
    if problem.dim != 2:
        raise InputError(f"surfaces are drawn of pairs in two dimensions; got dim {problem.dim}")
    drawn = problem.sample(RAYS, mode="population", seed=seed)
    scored = problem.sample(SCORED, mode="population", seed=seed)
    axis = np.linspace(-problem.half_width, problem.half_width, SIDE)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    count = 1 + len(critics)
    across = min(SURFACES_ACROSS, count)
    figure, grid = panels(-(-count // across), across, 2.1)
    for panel in grid.flat[count:]:
        panel.remove()
    _surface(grid.flat[0], axis, problem.potential(points), drawn, "optimal potential", 1.0)
    for panel, (label, critic) in zip(grid.flat[1:], critics, strict=False):
        _surface(panel, axis, critic.values(points), drawn, label, _cosine(critic, scored))
    describe(
        figure, f"A known potential of {problem.funnels} funnels in the plane, and critics clipped to c, trained on"
        " fresh samples", trained,
        "Lines are rays from x (dot) to y. A critic is right where its contours cross them squarely and it is darker",
        "at the dot. Each surface has shades of its own range.",
    )  # fmt: skip
    return figure


def _surface(axes: Axes, axis: Array, values: Array, pair: SamplePair, label: str, cosine: float | None) -> None:
    lowest, span = values.min(), np.ptp(values)
    shades = ((values - lowest) / (span or 1.0)).reshape(SIDE, SIDE)
    edges = (axis[0], axis[-1]) * 2
    axes.imshow(shades, cmap=SHADES, origin="lower", extent=edges, interpolation="bilinear", vmin=0, vmax=1)
    levels = np.linspace(0, 1, CONTOURS + 1)[1:-1]
    if span > 0:
        axes.contour(axis, axis, shades, levels=levels, colors="white", linewidths=0.6)
    axes.plot(*np.stack([pair.x, pair.y]).transpose(2, 0, 1), color="black", linewidth=0.8)
    axes.plot(*pair.x.T, color=COLOURS[1], linestyle="none", marker="o", markersize=3, zorder=3)
    axes.set(title=f"{label}\nrange {_short(span)}" + ("" if cosine is None else f", cosine {cosine:.2f}"))
    axes.spines[:].set_visible(False)
    axes.set(aspect="equal", xticks=[], yticks=[], xlim=axis[[0, -1]], ylim=axis[[0, -1]])


def _cosine(critic: Critic, pair: SamplePair) -> float | None:
    """The cosine of a critic's gradient with that of the potential; None for a critic without gradients."""
    gx, gy = critic.gradients(pair.x), critic.gradients(pair.y)
    return None if gx is None or gy is None else alignment(pair, None, gx, gy).cosine


def _short(span: float) -> str:
    """A number as a reader compares it at a glance: 2.6, or 3e-5."""
    if span == 0 or 0.01 <= span < 1000:
        return f"{span:.2g}"
    digit, power = f"{span:.0e}".split("e")
    return f"{digit}e{int(power)}"
