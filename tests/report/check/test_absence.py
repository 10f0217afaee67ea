"""What is missing is a fault as well: empty values, diverged critics in a promise, a declaration that moved on."""

from pathlib import Path

import pytest
from small import lines, write_lines

from otbench.report.check.rules import RULES, declaration, promises_kept
from otbench.results.store import Results
from otbench.results.tables.cells import frame_of


def emptied(copy: Results, names: list[str], which) -> list[str]:
    """The rules broken when ``names`` are empty in the first row ``which`` picks."""
    rows = lines(copy.rows_file)
    row = next(row for row in rows if which(row))
    assert row[names[0]] is not None
    row |= dict.fromkeys(names)
    write_lines(copy.rows_file, rows)
    frame = frame_of(copy.rows())
    return [name for name, rule in RULES.items() if list(rule(frame))]


def trained(row) -> bool:
    return row["method.name"] == "weight_clip" and row["method.steps"] == 40 and row["primal"] > 0


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        (["plan_cosine"], "ladder"), (["fresh_raw"], "population"), (["fresh_stderr"], "population"),
        (["slope_half"], "ladder"),
        (["grad_norm_max"], "ladder"),
        (["raw"], "ladder"),
        (["spectral_constant"], "clip constants"),
        (["clip_constant"], "clip constants"),
        (["population_w1"], "closed forms"),
        (["sampling_floor"], "closed forms"),
        (["coupled_w1", "coupled_stderr", "sampling_floor"], "closed forms"),
        *(([name], "certificates") for name in ("marginal_error", "primal_lower", "primal_upper", "longest_move")),
    ],
)
def test_an_empty_value_is_a_violation_where_it_must_be_there(names, rule, copy):
    assert rule in emptied(copy, names, lambda row: trained(row) and row["sampling.mode"] == "coupled")


def test_a_diverged_critic_keeps_no_promise(copy):
    promise = {"ratio": "slope_over_w1", "at_least": 0.999, "where": {"method.name": "potential"}}
    rows = lines(copy.rows_file)
    assert not list(promises_kept(frame_of(rows), [promise]))
    potentials = [row for row in rows if row["method.name"] == "potential"]
    for row in potentials[: len(potentials) // 2 + 1]:
        row["status"] = "diverged"
    (violation,) = promises_kept(frame_of(rows), [promise])
    assert violation.observed.startswith("0 over ")


def test_a_declaration_that_changed_since_the_run_is_a_violation(copy, small_results, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("experiments").mkdir()
    declared = (small_results.parent.parent / "small.toml").read_text()
    Path("experiments/small.toml").write_text("# a comment changes nothing\n" + declared)
    assert not list(declaration("small", copy.meta()))
    Path("experiments/small.toml").write_text(declared.replace("0.999", "0.5"))
    (violation,) = declaration("small", copy.meta())
    assert "run it again" in str(violation)
