"""How far the rule for a critic's scale is off on critics of other experiments: problems or optimisers it never saw."""

from pathlib import Path

import numpy as np
import pandas as pd

from otbench.errors import InputError
from otbench.results.tables.rule_intervals import Weights, over_seeds, settings_in, weighted_quantiles, with_ends
from otbench.results.tables.scale_rule import GIVEN, TARGETS, fitted_rows, measured_in, read_rule, settings_of

#: The numbers of a line, as in the table ``held_out``.
MISSED = ["median_factor", "p90_factor", "covered"]


def rule_beside(folder: Path) -> pd.DataFrame | None:
    """The rule's table in the results folder ``clip`` that lies beside ``folder``; None where there is none."""
    try:
        table: pd.DataFrame = pd.read_csv(folder.parent / "clip" / "tables" / "rule.csv")
        read_rule(table, TARGETS[0])
    except (OSError, ValueError, KeyError, InputError):
        return None
    return table


def transfer(frame: pd.DataFrame, rules: pd.DataFrame) -> pd.DataFrame:
    """One line per problem and optimiser of which at least one was not fitted, per target and per what is given.

    There are the median and the 90 % quantile of the factor by which the rule is off, and as ``covered`` the share of
    critics inside of its interval, with intervals over seeds; a critic that eps stalls is left out, as in the fit.
    """
    rows = fitted_rows(frame) if "critic" in frame else frame[:0]
    lines: list[dict[str, object]] = []
    if rows.empty:
        return pd.DataFrame()
    for (problem, optimiser), part in rows.groupby(["problem.name", "method.optimiser"], sort=False):
        setting = settings_of(part)
        for target, given in ((target, given) for target in TARGETS for given in GIVEN):
            rule, line = read_rule(rules, target, given)
            known, measured = measured_in(part, target)
            fitted = [str(line[name]).split() for name in ("problems", "optimisers")]
            if not known.any() or (problem in fitted[0] and optimiser in fitted[1]):
                continue
            errors = np.log(measured[known]) - rule.log_scale(setting)[known]
            inside = (errors >= rule.errors[0]) & (errors <= rule.errors[1])

            def numbers(times: Weights, errors: Weights = errors, inside: Weights = inside) -> Weights:
                factors = np.exp(weighted_quantiles(np.abs(errors), times, (0.5, 0.9)))
                return np.concatenate([factors, (inside @ times / times.sum(0))[None]])

            seeds = part["seed"].to_numpy(dtype=np.int64)[known]
            ends = over_seeds(settings_in(part[known]), seeds, numbers)
            lines.append({
                "problem.name": problem, "method.optimiser": optimiser, "target": target, "given": given,
                "critics": int(known.sum()), **with_ends(MISSED, numbers(np.ones(len(errors))), ends),
            })  # fmt: skip
    return pd.DataFrame(lines)
