"""What the pictures show: the numbers on their axes are those of the rows, by arithmetic of its own."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otbench.report.figures.gan import DATASETS
from otbench.report.figures.pictures import PICTURES
from otbench.report.figures.speed import speed
from otbench.results.folder import Stored
from otbench.results.store import Results, Row

COMMITTED = Path(__file__).parents[3] / "results"


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def sweep(sweep_results: Results) -> Stored:
    return Stored(sweep_results)


def drawn(name: str, stored: Stored) -> Figure:
    figure = PICTURES[name](stored)
    assert isinstance(figure, Figure)
    return figure


def line(axes: Axes, label: str) -> dict[float, float]:
    """The points of the one line of this label."""
    (found,) = [each for each in axes.get_lines() if each.get_label() == label]
    x, y = (np.asarray(values, dtype=float) for values in found.get_data())
    return dict(zip(x.round(9).tolist(), y.tolist(), strict=True))


def medians(rows: Iterable[Row], x: Callable[[Row], float], y: Callable[[Row], float]) -> dict[float, float]:
    groups: dict[float, list[float]] = defaultdict(list)
    for row in rows:
        groups[round(x(row), 9)].append(y(row))
    return {at: float(np.median(values)) for at, values in sorted(groups.items())}


def band(axes: Axes, k: int) -> tuple[float, float]:
    """The lowest and the highest value of the k-th shaded band."""
    corners = axes.collections[k].get_paths()[0].vertices
    return float(np.min(corners[:, 1])), float(np.max(corners[:, 1]))


def trained(row: Row) -> bool:
    return row["method.name"] == "weight_clip" and row["status"] == "ok"


def printed(row: Any) -> float:
    return float(row["raw"] / row["primal"])


def worth(row: Any) -> float:
    """slope / W1; 0 of a critic without a slope, as one that has died."""
    return float(max(row["raw"], 0.0) / row["slope_constant"] / row["primal"]) if row["slope_constant"] else 0.0


def dimension(row: Any) -> float:
    return float(row["problem.dim"])


def over_c_star(row: Any) -> float:
    return float(row["clip_constant"] ** (1 / (row["method.depth"] + 1)))


def test_the_printed_value_is_left_and_the_worth_right_a_line_per_dimension_a_row_per_mode(sweep: Stored) -> None:
    grid = np.array(drawn("clip", sweep).axes, dtype=object).reshape(2, 2)
    assert "overlap = 0.5" in str(grid[0, 0].figure.get_suptitle())
    rows = [r for r in sweep.rows if trained(r) and r["method.lr_unit"] == "clip"]
    rows = [r for r in rows if r["method.depth"] == 2 and r["problem.overlap"] == 0.5]  # one overlap in a median
    for (left, right), mode in zip(grid, ("coupled", "independent"), strict=True):
        assert left.get_title() == f"printed: raw / W1, {mode}"
        assert right.get_title() == f"worth: slope / W1, {mode}"
        for k, dim in enumerate((2, 4)):
            part = [r for r in rows if r["problem.dim"] == dim and r["sampling.mode"] == mode]
            assert line(left, f"d = {dim}") == pytest.approx(medians(part, over_c_star, printed))
            assert line(right, f"d = {dim}") == pytest.approx(medians(part, over_c_star, worth))
            ends = (min(map(worth, part)), max(map(worth, part)))  # of two seeds the interval is their range
            assert band(right, k) == pytest.approx(ends)


def test_the_edge_has_a_colour_per_depth_and_a_dash_per_rate(sweep: Stored) -> None:
    panels = drawn("edge", sweep).axes
    heard = [lambda r: r["raw"] / r["primal"], worth, lambda r: r["grad_norm_mean"]]
    rows = [r for r in sweep.rows if trained(r) and set(str(r["method.widths"]).split("x")) == {"64"}]
    assert rows
    for panel, value in zip(panels, heard, strict=True):
        curves = [each for each in panel.get_lines() if len(each.get_xdata()) == 3]
        assert len(curves) == 4
        for curve, (depth, unit) in zip(
            curves, [(1, "clip"), (1, "absolute"), (2, "clip"), (2, "absolute")], strict=True
        ):
            part = [r for r in rows if r["method.depth"] == depth and r["method.lr_unit"] == unit]
            expected = medians(part, lambda r: r["method.clip_over_c_star"], value)
            assert dict(zip(curve.get_xdata(), curve.get_ydata(), strict=True)) == pytest.approx(expected)
            assert curve.get_linestyle() == ("-" if unit == "clip" else "--")
        (behind,) = [each for each in panel.collections if each.get_label() == "every sweep"]
        sweeps = {(r["problem.dim"], r["problem.overlap"], r["sampling.mode"], r["method.depth"]) for r in rows}
        assert len(behind.get_segments()) == len(sweeps)


def test_the_ladder_has_the_medians_of_every_critic_in_its_dimension_s_panel(sweep: Stored) -> None:
    panels = drawn("ladder", sweep).axes
    labels = [text.get_text() for text in panels[0].get_yticklabels()]
    assert sorted(labels) == ["weight clip, c/c* = 0.1", "weight clip, c/c* = 1", "weight clip, c/c* = 10", "zero"]
    shown = [r for r in sweep.rows if r["problem.overlap"] == 0.5 and r["sampling.mode"] == "independent"]
    for panel, dim in zip(panels, (2, 4), strict=True):
        assert panel.get_title() == f"d = {dim}"
        clipped = [r for r in shown if trained(r) and r["problem.dim"] == dim and r["method.depth"] == 2]
        clipped = [r for r in clipped if r["method.lr_unit"] == "clip"]
        for name, value in (("slope", worth), ("c-transform", lambda r: r["c_transform"] / r["primal"])):
            (marks,) = [each for each in panel.get_lines() if each.get_label() == name]
            assert marks.get_linestyle() == "None"
            due = medians(clipped, lambda r: r["method.clip_over_c_star"], value)
            found = dict(zip(labels, marks.get_xdata(), strict=True))
            assert {c: found[f"weight clip, c/c* = {c:g}"] for c in due} == pytest.approx(due)


def test_the_ladder_has_a_line_for_every_kind_of_a_critic() -> None:
    """Kinds of a critic may have recipes of their own: c_transform has other betas with each of its sides here."""
    stored = Stored(Results(COMMITTED / "published"))
    (panel,) = drawn("ladder", stored).axes
    labels = [text.get_text() for text in panel.get_yticklabels()]
    (marks,) = [each for each in panel.get_lines() if each.get_label() == "slope"]
    found = dict(zip(labels, marks.get_xdata(), strict=True))
    rows = [r for r in stored.rows if (r["problem.dim"], r["problem.funnels"]) == (4, 16)]
    either = (False, True)
    kinds = {"c_transform": ("sides", ("y", "both")), "gradient_penalty": ("one_sided", either),
             "three_player": ("reverse", either)}  # fmt: skip
    for critic, (name, values) in kinds.items():
        for value in values:
            due = [worth(r) for r in rows if r["method.name"] == critic and r[f"method.{name}"] == value]
            label = f"{critic.replace('_', ' ')}, {name} = {value}"
            assert found[label] == pytest.approx(float(np.median(due))), label


def test_the_errors_are_of_the_sampling_and_of_the_critic(sweep: Stored) -> None:
    (axes,) = drawn("errors", sweep).axes
    rows = [r for r in sweep.rows if r["sampling.mode"] == "independent" and r["status"] == "ok"]
    rows = [r for r in rows if r["problem.overlap"] == 0.5]
    once = list({(r["problem.dim"], r["population_overlap"], r["primal"]): r for r in rows}.values())
    expected = medians(once, dimension, lambda r: abs(r["primal"] - r["population_w1"]) / r["population_w1"])
    assert line(axes, "sampling") == pytest.approx(expected)
    chosen = {"method.lr_unit": "clip", "method.depth": 2, "method.clip_over_c_star": 1.0}  # the middle one of each
    mine = [r for r in rows if trained(r) and all(r[name] == value for name, value in chosen.items())]
    expected = medians(mine, dimension, lambda r: 1 - worth(r))
    assert line(axes, "clipped critic, slope") == pytest.approx(expected)
    expected = medians(mine, dimension, lambda r: 1 - r["c_transform"] / r["primal"])
    assert line(axes, "clipped critic, c-transform") == pytest.approx(expected)


def test_the_map_has_clip_values_across_and_overlaps_up(sweep: Stored) -> None:
    panels = [axes for axes in drawn("heat", sweep).axes if axes.get_title().startswith("d = ")]
    rows = [r for r in sweep.rows if trained(r) and r["method.lr_unit"] == "clip" and r["method.depth"] == 2]
    shown = [(mode, dim) for mode in ("coupled", "independent") for dim in (2, 4)]
    for panel, (mode, dim) in zip(panels, shown, strict=True):
        assert panel.get_title() == (f"d = {dim}, {mode}" if dim == 2 else f"d = {dim}")
        part = [r for r in rows if r["problem.dim"] == dim and r["sampling.mode"] == mode]
        clips, overlaps = (sorted({r[name] for r in part}) for name in ("method.clip", "population_overlap"))
        if mode == "independent":  # the lowest row has the clip values, the first column the overlaps
            assert [t.get_text() for t in panel.get_xticklabels()] == [f"{c:g}" for c in clips]
        if dim == 2:
            assert [t.get_text() for t in panel.get_yticklabels()] == [f"{overlap:g}" for overlap in overlaps]
        drawn_values = panel.images[0].get_array()
        for row, overlap in enumerate(overlaps):
            here = medians([r for r in part if r["population_overlap"] == overlap], lambda r: r["method.clip"], worth)
            assert dict(zip(here, drawn_values[row], strict=True)) == pytest.approx(here)


def test_curves_of_generators_are_medians_over_seeds_and_all_arms_have_a_mark() -> None:
    stored = Stored(Results(COMMITTED / "generator"))
    figure = drawn("generator", stored)
    records = stored.results.measurements()
    lr, critics = max(r["lr"] for r in records), list(dict.fromkeys(stored.frame["n_critic"]))
    seeds = {r["seed"] for r in records}
    assert f"c = 0.01, rate {lr:g}, medians over {len(seeds)} seeds" in " ".join(figure.get_suptitle().split())
    count = len({r["dataset"] for r in records})
    grid = np.array(figure.axes[:-count], dtype=object).reshape(count, len(critics))
    when = lambda r: r["iteration"]  # noqa: E731
    for panels, verdict in zip(grid, figure.axes[-count:], strict=True):
        dataset = {title: name for name, title in DATASETS.items()}[panels[0].get_ylabel()]
        for axes, n_critic in zip(panels, critics, strict=True):
            arm = (dataset, n_critic, lr, 0.01)
            rows = [r for r in records if (r["dataset"], r["n_critic"], r["lr"], r["clip"]) == arm]
            assert line(axes, "W1, exact") == medians(rows, when, lambda r: r["primal"])
            shown = medians(rows, when, lambda r: worth(r) * r["primal"])
            assert line(axes, "raw / largest slope") == pytest.approx(shown)
            losses = medians([r for r in rows if r["printed"] is not None], when, lambda r: -r["printed"])
            found = line(axes, "printed, in a unit of its own")
            drawn_losses = {at: loss for at, loss in found.items() if not np.isnan(loss)}  # none before training
            unit = max(map(abs, losses.values())) / max(map(abs, drawn_losses.values()))
            assert drawn_losses == pytest.approx({at: loss / unit for at, loss in losses.items()}, abs=1e-12)
            w1 = [r["primal"] for r in rows]
            assert min(w1) <= band(axes, 0)[0] <= band(axes, 0)[1] <= max(w1)  # seeds' extremes, or within them
        marks = [mark.get_xdata() for mark in verdict.get_lines() if mark.get_linestyle() == "None"]
        table = stored.tables["tracking"]
        due = table[(table["dataset"] == dataset) & (table["number"] != "clock")]
        assert len(marks) == len(critics) * len({r["clip"] for r in records})
        expected = np.sort(due["partial_median"].to_numpy())  # NaN last, of arms whose generators all stopped
        assert np.sort(np.concatenate(marks)) == pytest.approx(expected, nan_ok=True)


def test_values_are_above_their_gradients_as_laws_move_apart() -> None:
    stored = Stored(Results(COMMITTED / "saturation"))
    grid = np.array(drawn("saturation", stored).axes, dtype=object).reshape(3, -1)
    titles = {"parallel segments": "segments", "shifted Gaussians": "translation"}
    for above, below, followed in grid.T:
        name = titles[above.get_title()]
        rows = [r for r in stored.rows if r["problem.name"] == name and r["status"] == "ok"]
        every, rows = rows, [r for r in rows if r["method.steps"] == 6000]
        place = lambda r: r["problem.theta"] if name == "segments" else r["problem.shift"]  # noqa: B023, E731
        gan, wgan = ([r for r in rows if r["method.name"] == kind] for kind in ("discriminator", "weight_clip"))
        assert line(above, "discriminator, JS estimate (nats)") == pytest.approx(medians(gan, place, lambda r: r["js"]))
        assert line(above, "clipped critic, raw / largest slope") == pytest.approx(
            medians(wgan, place, lambda r: worth(r) * r["primal"] if r["primal"] else 0.0)
        )
        assert line(above, "W1, exact") == pytest.approx(medians(gan, place, lambda r: r["population_w1"]))
        lower = [each for each in below.get_lines() if len(each.get_xdata()) > 2]
        for curve, expected in zip(
            lower,
            [medians(wgan, place, lambda r: r["raw_gradient"] / r["slope_constant"]),
             medians(gan, place, lambda r: r["js_gradient"])],
            strict=True,
        ):  # fmt: skip
            assert dict(zip(curve.get_xdata(), curve.get_ydata(), strict=True)) == pytest.approx(expected)
        for theta in (0.1, 0.3, 1.0):
            part = [r for r in every if place(r) == theta and r["method.name"] == "discriminator"]
            expected = medians(part, lambda r: r["method.steps"], lambda r: r["js_gradient"])
            drawn_steps = line(followed, f"discriminator, theta = {theta:g}")
            assert drawn_steps == pytest.approx({steps: abs(value) for steps, value in expected.items()})


def test_rates_are_critic_steps_per_second_of_each_engine() -> None:
    stored = Stored(Results(COMMITTED / "timing"))
    records = [r for r in stored.results.measurements() if r["kind"] == "training"]
    shapes = sorted({(r["batch"], r["width"]) for r in records})
    panels = [panel for panel in drawn("speed", stored).axes if panel.get_visible()]
    for panel, (batch, width) in zip(panels, shapes, strict=True):
        assert panel.get_title() == f"2 x {width} units,\nbatch {batch} + {batch}"
        here = [r for r in records if (r["batch"], r["width"]) == (batch, width)]
        for engine in {r["engine"] for r in here} - {"plain"}:
            rates = {float(r["critics"]): r["critics"] / r["seconds_per_step_median"]
                     for r in here if r["engine"] == engine}  # fmt: skip
            assert line(panel, f"{engine}, cpu") == pytest.approx(rates)
        (plain,) = [r for r in here if r["engine"] == "plain"]
        (dashed,) = [each for each in panel.get_lines() if each.get_label() == "plain loop, cpu"]
        assert set(dashed.get_ydata()) == {1 / plain["seconds_per_step_median"]}


def test_speeds_of_a_gpu_and_of_a_core_are_in_one_picture_with_a_line_for_every_precision() -> None:
    line = {"machine": "m", "device": "cpu", "device_name": None, "dim": 2, "batch": 8, "width": 4, "engine": "batched",
            "dtype": "float32", "critics": 64, "critic_steps_per_second": 5.0}  # fmt: skip
    gpu = line | {"machine": "g", "device": "cuda", "device_name": "Some GPU", "engine": "graph"}
    rows = [line, line | {"engine": "plain", "critics": 1}]
    rows += [gpu | {"critics": count, "dtype": dtype} for dtype in ("float32", "tf32") for count in (1, 1024)]
    figure = speed(pd.DataFrame(rows))
    (panel,) = figure.axes
    drawn = {str(drawn.get_label()): list(drawn.get_xdata()) for drawn in panel.get_lines()}  # type: ignore[arg-type]
    assert set(drawn) == {"plain loop, cpu", "batched, cpu", "graph, Some GPU", "graph, Some GPU, tf32"}
    assert drawn["graph, Some GPU, tf32"] == [1, 1024]
    plt.close(figure)
