"""Every column of the tables of published scores, from made rows, by hand: whose critic it is, and of which pair."""

import math
import statistics
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_every_column_of_generators import with_ends

from otbench.results.tables.published import methods, published
from otbench.results.tables.published_pairs import PUBLISHED_PAIRS
from otbench.results.tables.published_reproduced import reproduced

Record = dict[str, Any]

PAIRS = [(2, 4), (4, 8)]


def critics() -> list[Record]:
    """Three seeds of the critic that is trained as published, two of a sweep of three clip values, shorter ones that
    count for nothing; all numbers differ.

    The best of the sweep is the middle one for the first pair, and the largest for the second.
    """
    rng = np.random.default_rng(2)
    names = ("cosine", "gradient_l2", "gradient_l2_repaired", "raw", "gradient_scale", "slope_over_w1", "saturation",
             "spectral_constant")  # fmt: skip
    rows = []
    for dim, funnels in PAIRS:
        pair = {"problem.name": "funnels", "problem.dim": dim, "problem.funnels": funnels, "problem.half_width": 2.5,
                "problem.power": 8.0, "problem.sha256": f"of {dim}"}  # fmt: skip
        law = {"population_w1": float(rng.uniform(1, 2)), "population_stderr": float(rng.uniform(1, 2))}
        for steps, clip in ((400, 0.04), (400, 0.05), (400, 0.1), (40, 0.05)):
            for seed in range(2 if steps == 400 and clip > 0.04 else 3):
                row = {**pair, "method.steps": steps, "method.clip": clip, "seed": seed, "critic": "weight_clip",
                       "status": "ok", **law}  # fmt: skip
                rows.append(row | {name: float(rng.uniform(0.1, 0.9)) for name in names})
                rows[-1]["cosine"] += float((steps, clip) == (400, 0.05 if dim == 2 else 0.1))
        rows += [rows[-1] | {"status": "diverged"}, rows[-1] | {"critic": "linear", "method.steps": None}]
    return rows


SCORES = pd.DataFrame(
    [(*pair, name, *values) for pair, rows in zip(PAIRS, [
        [("wgan", 0.31, 0.61, 1.41), ("true", 1.0, 0.01, 1.71), ("dot", 0.99, 0.02, 1.61), ("other", 0.41, 0.51, 1.31)],
        [("wgan", 0.32, 0.62, 1.42), ("true", 1.0, 0.02, 1.72)],
    ], strict=True) for name, *values in rows],
    columns=["dim", "funnels", "method", "cos", "l2", "cost"],
)  # fmt: skip


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """The made pairs are the published ones."""
    for dim, funnels in PAIRS:
        monkeypatch.setitem(PUBLISHED_PAIRS, (dim, funnels), f"of {dim}")


def test_published_scores_stand_beside_the_critic_trained_as_long_and_the_best_of_the_sweep(verified: None) -> None:
    rows = critics()
    found = published(pd.DataFrame(rows), SCORES)
    assert found is not None
    table = found.set_index(["dim", "funnels"])
    assert sorted(table.index) == PAIRS
    renamed = {"cos": "cosine", "l2": "gradient_l2", "l2_repaired": "gradient_l2_repaired", "cost": "raw"}
    renamed |= {name: name for name in ("gradient_scale", "slope_over_w1", "population_w1", "population_stderr")}
    for pair, best in zip(PAIRS, (("other", 0.41), ("wgan", 0.32)), strict=True):
        line = table.loc[pair]
        ours = [r for r in rows if (r["problem.dim"], r["problem.funnels"]) == pair and r["critic"] == "weight_clip"
                and r["status"] == "ok"]  # fmt: skip
        long = [r for r in ours if r["method.steps"] == 400]
        full = [r for r in long if r["method.clip"] == 0.04]
        due: Record = {name: statistics.median(r[column] for r in full) for name, column in renamed.items()}
        due |= {"seeds": 3, "cos_min": min(r["cosine"] for r in full), "cos_max": max(r["cosine"] for r in full)}
        both = [r for r in long if r["seed"] < 2]
        clips = sorted({r["method.clip"] for r in both})
        swept = {c: statistics.median(r["cosine"] for r in both if r["method.clip"] == c) for c in clips}
        best_clip = max(clips, key=lambda c: swept[c])
        filled = statistics.median(r["saturation"] for r in both if r["method.clip"] == best_clip)
        due |= {"sweep_clip": best_clip, "sweep_cos": swept[best_clip], "sweep_saturation": filled}
        due |= {"sweep_at_edge": float(best_clip in (clips[0], clips[-1])), "sweep_tried": 3, "sweep_seeds": 2}
        due |= {"sweep_never_binds": 0.0, "sweep_gain": swept[best_clip] - swept[0.04]}
        due["sweep_over_unclipped"] = math.nan  # no two of these clip values leave one critic
        measured = [name for name in renamed if not name.startswith("population")]
        due |= {f"{name}_low": min(r[renamed[name]] for r in full) for name in measured}
        due |= {f"{name}_high": max(r[renamed[name]] for r in full) for name in measured}
        theirs = {row.method: row for row in SCORES.itertuples() if (row.dim, row.funnels) == pair}
        due |= {f"published_{name}": getattr(theirs["wgan"], name) for name in ("cos", "l2", "cost")}
        dot = theirs.get("dot")
        due |= {f"dot_{name}": getattr(dot, name) if dot else math.nan for name in ("cos", "l2", "cost")}
        due |= {"method": "wgan", "critic": "weight_clip", "setting": "", "is_published": True}
        due |= {"steps": 400, "published_steps": 5000}
        due |= {"true": theirs["true"].cost, "best_published": best[0], "best_published_cos": best[1]}
        due["cos_difference"] = due["cos"] - due["published_cos"]
        due["difference_over_range"] = abs(due["cos_difference"]) / (due["cos_max"] - due["cos_min"])
        due["sweep_gain_over_range"] = due["sweep_gain"] / (due["cos_max"] - due["cos_min"])
        due["true_ratio"] = due["population_w1"] / due["true"]
        assert due["sweep_at_edge"] == float(pair == PAIRS[1])
        assert set(table) == set(due)
        assert {name for name in due if line[name] != pytest.approx(due[name], nan_ok=True)} == set()


def test_all_methods_of_a_pair_are_in_one_column_the_best_first(verified: None) -> None:
    rows = critics()
    found, beside = published(pd.DataFrame(rows), SCORES), methods(pd.DataFrame(rows), SCORES)
    assert found is not None
    assert beside is not None
    table = found.set_index(["dim", "funnels"])
    ends = [f"{name}{end}" for name in ("cos", "l2", "cost") for end in ("", "_low", "_high")]
    assert list(beside) == ["dim", "funnels", "method", "by", "setting", *ends, "critic"]
    assert len(beside) == len(SCORES) + len(PAIRS)
    for pair, part in beside.groupby(["dim", "funnels"]):
        of_critics = part[part["critic"]]
        assert of_critics["cos"].is_monotonic_decreasing
        assert part["critic"].is_monotonic_decreasing, "what is no critic comes last"
        (own,) = part[part["by"] == "otbench"].to_dict("records")
        assert {name for name in ("method", "setting", *ends) if own[name] != table.loc[pair, name]} == set()
        assert set(part.loc[~part["critic"], "method"]) <= {"true", "dot"}
        for row in SCORES.itertuples():
            (line,) = beside[(beside["by"] == "published") & (beside["method"] == row.method)
                             & (beside["dim"] == row.dim)].to_dict("records")  # fmt: skip
            assert (line["cos"], line["l2"], line["cost"]) == (row.cos, row.l2, row.cost)
            assert all(math.isnan(line[name]) for name in ends if "_" in name)


def penalised() -> list[Record]:
    """Two methods that one field tells apart, one of them in two settings, trained for longer or less long."""
    rng = np.random.default_rng(3)
    rows = []
    for row in critics()[:3]:
        for one_sided, penalty, steps in ((False, 1.0, 7), (True, 1.0, 9), (True, 10.0, 9), (True, 10.0, 3)):
            own = {"critic": "gradient_penalty", "method.one_sided": one_sided, "method.penalty": penalty,
                   "method.steps": steps, "method.clip": None, "fresh_cosine": float(rng.uniform()),
                   "held_out": None}  # fmt: skip
            numbers = {name: float(rng.uniform()) for name in ("cosine", "raw")}
            rows.append(row | own | numbers | {"seed": len(rows) // 4})
    return rows


def test_every_setting_of_a_method_has_its_line_beside_the_name_it_was_published_under(verified: None) -> None:
    rows = penalised()
    table = published(pd.DataFrame([*critics(), *rows]), SCORES)
    assert table is not None
    lines = table[table["critic"] == "gradient_penalty"].set_index(["method", "setting"])
    assert list(lines.index) == [("wgan-gp", ""), ("wgan-lp", "penalty = 1.0"), ("wgan-lp", "penalty = 10.0")]
    for (name, setting), line in lines.iterrows():
        own = [row for row in rows if row["method.one_sided"] == (name == "wgan-lp") and row["method.steps"] != 3
               and (not setting or setting == f"penalty = {row['method.penalty']}")]  # fmt: skip
        for column, told in (("cosine", "cos"), ("raw", "cost"), ("fresh_cosine", "fresh_cosine")):
            values = [row[column] for row in own]
            assert (line[told], line[f"{told}_low"], line[f"{told}_high"]) == with_ends(values)
        assert (line["seeds"], line["steps"], line["published_steps"]) == (3, own[0]["method.steps"], 60000)
        assert math.isnan(line["published_cos"]), "which has no score in the table"
        assert math.isnan(line["sweep_clip"]), "a sweep is of weight clipping"
        assert line["true"] == 1.71
    assert "held_out" not in table, "no row has one"
    assert len(table) == len(lines) + len(PAIRS)
    assert list(table["method"])[:2] == ["wgan", "wgan-gp"], "the order in which the methods were published"


def test_a_pair_that_is_another_one_has_no_scores_beside_it(verified: None) -> None:
    """Planted: one number of the centres changed, another map, the digest of another shape."""
    rows = critics()
    for column, value in (("problem.sha256", "of 3"), ("problem.power", 7.0), ("problem.half_width", 2.0),
                          ("problem.name", "lift")):  # fmt: skip
        changed = [row | ({column: value} if row["problem.dim"] == 2 else {}) for row in rows]
        table, beside = published(pd.DataFrame(changed), SCORES), methods(pd.DataFrame(changed), SCORES)
        assert table is not None
        assert beside is not None
        assert dict(zip(table["dim"], table["is_published"], strict=True)) == {2: False, 4: True}
        theirs = [name for name in table if name.startswith(("published_", "best_", "true", "dot", "cos_diff"))]
        assert len(theirs) == 12
        assert table.loc[table["dim"] == 2, theirs].isna().all(axis=None)
        assert table.loc[table["dim"] == 4, "published_cos"].notna().all()
        assert set(beside.loc[beside["dim"] == 2, "by"]) == {"otbench"}
        assert set(beside.loc[beside["dim"] == 4, "by"]) == {"otbench", "published"}


def test_without_a_critic_that_was_published_there_is_no_table() -> None:
    rows = [row | {"critic": "linear"} for row in critics()]
    assert published(pd.DataFrame(rows), SCORES) is None
    assert methods(pd.DataFrame(rows), SCORES) is None


def test_a_cosine_is_reproduced_where_it_is_near_or_beside_the_range_of_five_seeds() -> None:
    """Each limit a hair inside and a hair beyond; other lengths of training and pairs without scores do not count."""
    line = {
        "method": "lsot-f", "critic": "least_squares", "setting": "", "dim": 2, "seeds": 1, "steps": 10, "cos": 0.5,
        "cos_min": 0.5, "cos_max": 0.5, "published_cos": 0.5, "published_steps": 10,
    }  # fmt: skip
    spread = {"seeds": 5, "cos_min": 0.4, "cos_max": 0.7}
    cases: list[tuple[dict[str, float], bool, bool]] = [
        ({}, True, True),
        ({"published_cos": 0.5499}, True, True),
        ({"published_cos": 0.4501}, True, True),
        ({"published_cos": 0.5501}, False, False),
        ({"published_cos": 0.7299, **spread}, False, True),
        ({"published_cos": 0.3701, **spread, "seeds": 6}, False, True),
        ({"published_cos": 0.7301, **spread}, False, False),
        ({"published_cos": 0.3699, **spread}, False, False),
        ({"published_cos": 0.7299, **spread, "seeds": 4}, False, False),
    ]
    for change, near, again in cases:
        table = pd.DataFrame([line | change])
        found = reproduced(table.assign(cos_difference=table["cos"] - table["published_cos"]))
        assert found is not None
        assert (found["near"].tolist(), found["reproduced"].tolist()) == ([near], [again]), change
    lines = [line | {"dim": 16} | change for change, _, _ in cases]
    lines += [line, line | {"steps": 9}, line | {"published_cos": math.nan}, line | {"method": "wgan", "steps": 10}]
    whole = pd.DataFrame(lines)
    table = reproduced(whole.assign(cos_difference=whole["cos"] - whole["published_cos"]))
    assert table is not None
    assert table["method"].tolist() == ["wgan", "lsot-f"]
    told = table.iloc[1].to_dict()
    differences = sorted(abs(row["cos"] - row["published_cos"]) for row in lines[:-3])  # type: ignore[operator]
    assert told == {
        "method": "lsot-f", "critic": "least_squares", "setting": "", "steps": 10, "dims": "2 16", "least_seeds": 1,
        "most_seeds": 6, "pairs": 10, "near": 4, "reproduced": 6, "median_difference": sum(differences[4:6]) / 2,
        "largest_difference": differences[-1],
    }  # fmt: skip
    assert reproduced(None) is None
    assert reproduced(whole.assign(published_cos=math.nan, cos_difference=math.nan)) is None
