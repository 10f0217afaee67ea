"""Samples that converge: every pair of laws at every size with its seeds, each with its exact W1 and its error."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wasserstein_distance
from small import write_lines

from otbench.cli.reading import print_headlines
from otbench.errors import InputError
from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.study_runner import run_plan
from otbench.problems import PROBLEMS, problem
from otbench.report.check.rules import check_results
from otbench.report.markdown import write_tables
from otbench.results.compare import compare_results
from otbench.results.folder import Stored
from otbench.results.store import Results, Row
from otbench.studies.convergence import ConvergencePlan, measure

PLAN = """
question = "Small?"
[convergence]
problem = [
  { name = "translation", shift = [0.0, 1.0], dim = [1, 2] },
  { name = "spheres", dim = 3 },
]
samples = [[300, 2], [10, 3]]
"""


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("convergence")
    (folder / "laws.toml").write_text(PLAN)
    declared = load_experiment(str(folder / "laws.toml"))
    assert run_plan(declared, folder / "laws") == 10
    assert run_plan(declared, folder / "laws") == 0
    results = Results(folder / "laws")
    write_tables(results, "csv")
    return results


def law(record: Row) -> tuple[object, ...]:
    return record["problem.name"], record["problem.dim"], record.get("problem.shift")


def test_every_pair_of_laws_is_there_at_every_size_with_its_seeds(solved: Results) -> None:
    records = solved.measurements()
    assert len({r["key"] for r in records}) == len(records) == 5 * (2 + 3)
    laws = {*(("translation", dim, shift) for dim in (1, 2) for shift in (0.0, 1.0)), ("spheres", 3, None)}
    due = {(each, n): seeds for each in laws for n, seeds in ((300, 2), (10, 3))}
    assert Counter((law(r), r["sampling.n"]) for r in records) == due
    found = check_results(solved)
    assert list(found) == ["certificates", "errors", "complete", "declaration", "seal", "tables"]
    assert [str(violation) for violations in found.values() for violation in violations] == []
    assert set(Stored(solved).tables) == {"convergence", "errors"}


def test_the_error_is_of_the_points_that_the_problem_draws(solved: Results) -> None:
    """On the line scipy finds W1 of the same points by another route."""
    flat = [r for r in solved.measurements() if r["problem.dim"] == 1]
    assert len(flat) == 10
    for record in flat:
        shift = record["problem.shift"]
        drawn = problem("translation", dim=1, shift=shift).sample(record["sampling.n"], seed=record["seed"])
        w1 = wasserstein_distance(drawn.x[:, 0], drawn.y[:, 0])
        assert record["primal"] == pytest.approx(w1, rel=1e-12)
        assert record["error"] == pytest.approx(abs(w1 - shift), abs=1e-12)


def test_one_job_gives_its_seeds_alone() -> None:
    plan = ConvergencePlan(problem=[{"name": "balls", "dim": [2, 3]}], samples=[[5, 4], [6, 1]])
    for job, size in plan.jobs().items():
        records = measure(plan, job)
        assert [(r["problem.dim"], r["sampling.n"], r["seed"]) for r in records] == [
            (size.law.dim, size.n, seed) for seed in range(4 if size.n == 5 else 1)
        ]
        assert [r["key"] for r in records] == plan.records("cpu")[job]
        assert {r["status"] for r in records} == {"ok"}


def test_the_declared_study_is_of_known_laws_equal_ones_among_them() -> None:
    plan = load_experiment("convergence").plan
    assert isinstance(plan, ConvergencePlan)
    assert not plan.timed
    assert {n for n, _ in plan.samples} == {2**k for k in range(6, 15)}
    known = [each.population_w1 for each in plan.laws()]
    assert 0.0 in known
    assert {each.dim for each in plan.laws()} == {1, 2, 3, 4, 8, 16, 32}
    assert {each.name for each in plan.laws() if each.dim == 2} == {"translation", "balls", "spheres", "segments"}
    (extra,) = plan.extra
    assert extra.samples == [[2**15, 2]]
    assert set(extra.laws()) == {each for each in plan.laws() if each.dim != 2}
    counts = len(known) * (6 * 10 + 5 + 3 + 2) + len(extra.laws()) * 2
    assert len({key for keys in plan.records("cpu").values() for key in keys}) == counts
    # seeds are what an exponent's interval is drawn from
    assert min(len(job.seeds) for job in plan.jobs().values()) >= 2


def test_extra_sizes_are_of_their_own_laws_and_a_size_that_is_declared_twice_has_its_larger_number_of_seeds() -> None:
    balls = {"name": "balls", "dim": [2, 3]}
    extra = [
        {"problem": [{"name": "balls", "dim": 3}], "samples": [[7, 2], [5, 1]]},
        {"problem": [{"name": "balls", "dim": 2}], "samples": [[6, 9]]},
    ]
    plan = ConvergencePlan(problem=[balls], samples=[[5, 4], [6, 1]], extra=extra)
    jobs = [(job.n, job.law.dim, len(job.seeds)) for job in plan.jobs().values()]
    assert sorted(jobs) == [(5, 2, 4), (5, 3, 4), (6, 2, 9), (6, 3, 1), (7, 3, 2)]
    assert [n for n, _, _ in jobs] == sorted(n for n, _, _ in jobs), "small samples first"
    assert {key for keys in plan.records("cpu").values() for key in keys} == {
        key for job in plan.jobs().values() for key in job.records().values()
    }


@pytest.mark.parametrize(("extra", "told"), [
    ({"problem": [{"name": "digits"}], "samples": [[4, 1]]}, "W1 of the laws of 'digits' has no closed form"),
    ({"problem": [{"name": "balls"}], "samples": [[4]]}, "samples"),
    ({"problem": [{"name": "balls"}], "samples": [[4, 1]], "seeds": 3}, "seeds"),
    ({"samples": [[4, 1]]}, "problem"),
])  # fmt: skip
def test_an_extra_table_is_checked_as_the_plan_is(extra: dict, told: str) -> None:
    with pytest.raises(InputError, match=told) as error:
        ConvergencePlan(problem=[{"name": "balls"}], samples=[[4, 1]], extra=[extra])
    assert "\n" not in str(error.value)


def test_two_folders_are_compared_sample_by_sample(solved: Results, tmp_path: Path) -> None:
    assert compare_results(Stored(solved), Stored(solved)).unit == "samples"
    records = solved.measurements()
    other = [r | {"primal": float(str(r["primal"])) + 1} if r["sampling.n"] == 10 else r for r in records]
    (tmp_path / "laws").mkdir()
    write_lines(tmp_path / "laws" / "measurements.jsonl", other)
    found = compare_results(Stored(solved), Stored(Results(tmp_path / "laws")))
    assert found.changed
    assert all("sampling.n = 10" in line for line in found.changed)
    curves = Stored(Results(Path(__file__).parents[2] / "results" / "generator"))
    with pytest.raises(InputError, match="A holds samples of laws, B curves of GANs in training"):
        compare_results(Stored(solved), curves)


def test_a_folder_of_samples_has_no_headline_and_says_so(
    solved: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    print_headlines(["laws"], solved.folder.parent)
    assert capsys.readouterr().out.startswith("laws: errors of samples, which have no headline; ")


@pytest.mark.parametrize(("table", "told"), [
    ({"name": "funnels", "dim": 2}, "W1 of the laws of 'funnels' has no closed form"),
    ({"name": "digits"}, "W1 of the laws of 'digits' has no closed form"),
    ({"name": "traslation", "dim": 2}, "unknown problem 'traslation': did you mean 'translation'"),
    ({"name": "translation", "dim": 2, "shfit": 1.0}, "unknown field of problem 'translation' 'shfit': did you mean"),
    ({"dim": 2}, "unknown problem ''"),
])  # fmt: skip
def test_laws_that_are_not_known_are_refused_in_one_line(table: dict, told: str) -> None:
    with pytest.raises(InputError, match=told) as error:
        ConvergencePlan(problem=[table], samples=[[4, 1]])
    assert "\n" not in str(error.value)


def test_the_mean_w1_of_samples_is_above_that_of_their_laws() -> None:
    """W1 is jointly convex, so that in the mean samples are no closer than their laws; here by far more than chance."""
    plan = ConvergencePlan(problem=[{"name": "spheres", "dim": 3}], samples=[[16, 30]])
    (job,) = plan.jobs()
    values = np.array([record["primal"] for record in measure(plan, job)])
    assert values.mean() > PROBLEMS["spheres"](dim=3).population_w1 + 5 * values.std() / 30**0.5
