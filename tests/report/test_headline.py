"""The headline: every line is of one cell but for its seeds, every number a median of that cell's numbers."""

import json
import re
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Otbench
from small import lines, write_block

from otbench.errors import UnknownNameError
from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.runner import run_experiment
from otbench.report.headline import MEASURED, headline, identity, labelled
from otbench.results.folder import load
from otbench.results.store import SEEDS, is_cell_column

README = Path(__file__).parent.parent.parent / "README.md"

CRITIC = '{{ name = "weight_clip", steps = 20, batch = 4, {} }}'


@pytest.fixture(scope="module")
def frame(small_results: Path) -> pd.DataFrame:
    return load(small_results)


def of(folder: Path, **parts: str) -> pd.DataFrame:
    """The frame of an experiment of one block."""
    write_block(folder, **parts)
    run_experiment(load_experiment(str(folder / "tiny.toml")), folder / "tiny")
    return load(folder / "tiny")


def test_the_readme_s_experiment_prints_numbers_of_one_network_each(otbench: Otbench) -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", README.read_text(), re.S)
    assert toml.count('name = "weight_clip",') == 1
    Path("mine.toml").write_text(toml.replace('name = "weight_clip",', 'name = "weight_clip", steps = 60,'))
    rng = np.random.default_rng(0)
    np.save("real.npy", rng.normal(size=(40, 3)))
    np.savetxt("generated.csv", rng.normal(size=(30, 3)) + 0.5, delimiter=",")
    shown = otbench("run", "mine.toml", "--engine", "inline")
    assert (shown.code, otbench("show", "mine").out in shown.out) == (0, True)
    rows, found = lines(Path("results/mine/rows.jsonl")), otbench("show", "mine", "--json")
    assert found.code == 0
    table = json.loads(found.out)["mine"]
    assert len(table) == 5  # the linear critic, and two clip values of two networks
    for line in table:
        mine = [
            row for row in rows
            if row["method.name"] == line["critic"]
            and row.get("method.widths") == line["method.widths"] and row.get("method.clip") == line["method.clip"]
        ]  # fmt: skip
        assert sorted(row["seed"] for row in mine) == [0, 1, 2]
        assert line["raw_over_w1"] == statistics.median(row["raw"] / row["primal"] for row in mine)
    told = {f"{line['raw_over_w1']:.3g}" for line in table}
    assert all(number in shown.out for number in told)


def test_no_line_pools_cells_that_differ_in_more_than_their_seed(frame: pd.DataFrame) -> None:
    names, table = identity(frame), headline(frame)
    cell = [str(name) for name in frame if is_cell_column(str(name)) and name not in SEEDS]
    left = frame
    for line in table.to_dict("records"):
        fits = pd.Series(True, frame.index)
        for name in names:
            fits &= frame[name].isna() if pd.isna(line[name]) else (frame[name] == line[name]).fillna(False)
        rows = frame[fits]
        assert len(rows) == line["cells"]
        assert not rows["seed"].duplicated().any()
        assert rows[cell].nunique(dropna=False).max() == 1
        for name in set(MEASURED) & set(table):
            known = [float(value) for value in rows[name] if value == value]
            assert line[name] == statistics.median(known) if known else np.isnan(line[name])
        left = left.drop(rows.index)
    assert left.empty


@pytest.mark.parametrize(
    ("parts", "heading", "values"),
    [
        ({"method": CRITIC.format("widths = [[2], [3]]")}, "widths", ["2", "3"]),
        ({"method": CRITIC.format("lr = [0.001, 0.01]")}, "lr", ["0.001", "0.01"]),
        ({"method": CRITIC.format('lr = 0.01, lr_unit = ["absolute", "clip"]')}, "lr", ["0.01", "0.01 c"]),
        ({"method": CRITIC.format('optimiser = ["sgd", "adam"]')}, "optimiser", ["sgd", "adam"]),
        ({"method": f"[{CRITIC.format('clip = 0.01')}, {{ name = 'zero' }}]"}, "critic", ["weight_clip", "zero"]),
        ({"problem": '[{ name = "spheres", dim = 2 }, { name = "balls", dim = 2 }]'}, "problem", ["balls", "spheres"]),
        ({"problem": '{ name = "shared_mass", dim = 2, overlap = [0.0, 0.5] }'}, "overlap", ["0", "0.5"]),
        ({"problem": '{ name = "spheres", dim = [2, 3] }'}, "dim", ["2", "3"]),
        ({"sampling": '{ n = 16, mode = ["coupled", "independent"] }'}, "mode", ["coupled", "independent"]),
        ({"sampling": "[{ n = 16 }, { n = 16, m = 16 }]"}, "m", ["", "16"]),
    ],
)  # fmt: skip
def test_whatever_varies_is_a_column(parts: dict[str, str], heading: str, values: list[str], tmp_path: Path) -> None:
    frame = of(tmp_path, **{"method": CRITIC.format("clip = 0.01"), "seeds": "[0, 1]", **parts})
    table = labelled(headline(frame))
    assert sorted(map(str, table[heading])) == sorted(values)


def test_a_critic_that_diverged_has_no_number_and_is_counted(tmp_path: Path) -> None:
    bad = CRITIC.format('optimiser = "sgd", clip = 1e30, clip_parameters = "weights", lr = [1e-3, 1e300]')
    table = headline(of(tmp_path, method=bad, seeds="[0, 1]"))
    texts = labelled(table)
    assert list(texts["ok"]) == ["2 of 2", "0 of 2"]
    assert table["raw_over_w1"].isna().tolist() == [False, True]
    assert texts["raw/W1"].iloc[1] == ""


def test_columns_are_chosen_by_name_or_heading_and_unknown_ones_refused(frame: pd.DataFrame) -> None:
    table = headline(frame, ["skill", "raw/W1", "grad_norm_max"])
    assert list(table.columns[-3:]) == ["skill", "raw_over_w1", "grad_norm_max"]
    assert list(table.columns[:-5]) == identity(frame)
    with pytest.raises(UnknownNameError, match="unknown column of numbers 'skil': did you mean 'skill'"):
        headline(frame, ["skil"])
    with pytest.raises(UnknownNameError, match="unknown column of numbers 'status'"):
        headline(frame, ["status"])


def test_the_problem_and_mode_with_the_most_cells_come_first(frame: pd.DataFrame) -> None:
    table = headline(frame)
    assert (table["problem.name"].iloc[0], table["problem.name"].iloc[-1]) == ("shared_mass", "digits")
