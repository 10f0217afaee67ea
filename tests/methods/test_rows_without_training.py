"""Sinkhorn's, sliced and max-sliced critics in the rows of an experiment, and wherever a critic is taken."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Otbench
from critics_of_samples import critic_of
from small import lines, write_block

import otbench
from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.runner import Place, run_experiment
from otbench.report.check.rules import check_results
from otbench.results.folder import load

NAMES = ("sinkhorn", "sliced", "max_sliced")

METHOD = """[
  { name = "potential" },
  { name = "sinkhorn", extension = ["soft", "hard"] },
  { name = "sinkhorn", reg = 0.001, max_iter = 2 },
  { name = "sliced", directions = 20 },
  { name = "max_sliced", starts = 2, steps = 10 },
]"""

PROBLEM = '{ name = "translation", dim = [1, 3] }'

SAMPLING = '{ n = 30, mode = ["coupled", "independent"], fresh = 20 }'


def declared(folder: Path) -> Path:
    return write_block(folder, PROBLEM, SAMPLING, METHOD, name="free")


def test_an_experiment_runs_checks_and_shows_all_of_them_from_the_command_line(
    otbench: Otbench,
) -> None:
    file = declared(Path())
    done = otbench("run", file, "--engine", "inline")
    assert (done.code, "free: 24 cells run" in done.out) == (0, True)
    for command in ("check", "show", "tables --verify"):
        word, *options = command.split()
        assert otbench(word, file, *options).code == 0, command
    assert {rule: broken for rule, broken in check_results("results/free").items() if broken} == {}
    frame = load("results/free")
    assert set(frame["critic"]) == {"potential", *NAMES}
    stopped = frame["method.max_iter"].eq(2).fillna(False).astype(bool)
    assert (frame["status"] == np.where(stopped, "diverged", "ok")).all()
    assert frame["reason"][stopped].str.contains("after 2 iterations the marginals are wrong by").all()
    assert frame[["raw", "slope", "c_transform"]][stopped].isna().to_numpy().all()
    ok = frame[~stopped]
    assert ok["spectral"].le(ok["primal"] * (1 + 1e-9)).all()
    assert ok["held_out"].notna().all()
    exact = ok["critic"].isin(["sliced", "max_sliced"]) & (ok["problem.dim"] == 1)
    assert ok["spectral_over_w1"][exact].to_numpy() == pytest.approx(1, rel=1e-9)
    moved = (ok["critic"] == "max_sliced") & (ok["sampling.mode"] == "coupled")
    assert ok["spectral_over_w1"][moved].to_numpy() == pytest.approx(1, rel=1e-9)


def test_a_cell_has_the_same_bytes_whatever_company_it_has(tmp_path: Path) -> None:
    experiment = load_experiment(str(declared(tmp_path)))
    plain, alone = tmp_path / "plain" / "free", tmp_path / "alone" / "free"
    run_experiment(experiment, plain)
    run_experiment(experiment, alone, Place(limit=60.0))  # every cell is a task of its own
    assert (plain / "rows.jsonl").read_bytes() == (alone / "rows.jsonl").read_bytes()
    assert {line["method.name"] for line in lines(plain / "rows.jsonl")} == {"potential", *NAMES}


def test_a_dry_run_expects_some_time_of_them(otbench: Otbench) -> None:
    done = otbench("run", declared(Path()), "--dry-run")
    assert (done.code, "24 cells" in done.out) == (0, True)


def test_a_list_says_what_every_field_of_theirs_means(otbench: Otbench) -> None:
    told = json.loads(otbench("list", "--json").out)["method"]
    fields = {name: set(told[name]["fields"]) for name in NAMES}
    assert fields == {"sinkhorn": {"reg", "extension", "max_iter", "tolerance"}, "sliced": {"directions"},
                      "max_sliced": {"starts", "steps", "rate"}}  # fmt: skip
    assert all(field["meaning"] for name in NAMES for field in told[name]["fields"].values())


@pytest.mark.parametrize("name", NAMES)
def test_a_critic_of_theirs_is_audited_certified_and_estimated_with(name: str) -> None:
    rng = np.random.default_rng(0)
    shift = np.array([2.0, 0.0, 0.0])
    x, y = rng.standard_normal((80, 3)), rng.standard_normal((90, 3)) + shift
    critic = critic_of(name, otbench.SamplePair(x, y))
    bounds = otbench.audit(critic, x, y)
    assert 0 < bounds.spectral <= bounds.slope + 1e-9 <= bounds.c_transform + 2e-9 <= bounds.primal + 3e-9
    assert bounds.plan_cosine > 0.5
    fresh = rng.standard_normal((2, 500, 3))
    said = otbench.certify(critic, fresh[0], fresh[1] + shift)
    assert said.constant == critic.constants()[1]
    assert 0.5 < said.lower < said.estimate < 2.2
    found = otbench.estimate(x, y, methods=[name])
    assert found.lower == found.critics[name].lower
    assert found.lower < 2 < found.upper
