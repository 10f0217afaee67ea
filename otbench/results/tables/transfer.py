"""How far the rule for a critic's scale is off on critics of other experiments: problems or optimisers it never saw."""

import numpy as np
import pandas as pd

from otbench.files import PACKAGE
from otbench.results.tables.rule_intervals import Weights, over_seeds, settings_in, weighted_quantiles, with_ends
from otbench.results.tables.scale_rule import GIVEN, TARGETS, fitted_rows, measured_in, read_rule, settings_of

#: Where the fitted rule is looked up: beside the results on which it was fitted, and in the installed package.
RULE_FILES = (
    PACKAGE.parent / "results" / "clip" / "tables" / "rule.csv",
    PACKAGE / "rule.csv",
)

#: The numbers of a line, as in the table ``held_out``.
MISSED = ["median_factor", "p90_factor", "covered"]


def fitted_rule() -> pd.DataFrame | None:
    """The table of the rule that came with otbench, which ``otbench advise`` reads; None where there is none."""
    for file in RULE_FILES:
        if file.is_file():
            table: pd.DataFrame = pd.read_csv(file)
            return table
    return None


def transfer(frame: pd.DataFrame, rules: pd.DataFrame) -> pd.DataFrame:
    """One line per problem and optimiser of which at least one was not fitted, per target and per what is given.

    There are the median and the 90 % quantile of the factor by which the rule is off, and as ``covered`` the share of
    critics inside of its interval, with intervals over seeds; a critic that eps stalls is left out, as in the fit.
    """
    named = ["problem.name", "method.optimiser"]
    if not {"critic", *named} <= set(frame) or not {"problems", "optimisers", "given"} <= set(rules):
        return pd.DataFrame()
    problems, optimisers = (str(rules[name].iloc[0]).split() for name in ("problems", "optimisers"))
    known_both = frame["problem.name"].isin(problems) & frame["method.optimiser"].isin(optimisers)
    lines: list[dict[str, object]] = []
    for (problem, optimiser), part in fitted_rows(frame[~known_both]).groupby(named, sort=False):
        setting, alike, seeds = settings_of(part), settings_in(part), part["seed"].to_numpy(dtype=np.int64)
        for target, given in ((target, given) for target in TARGETS for given in GIVEN):
            rule, _ = read_rule(rules, target, given)
            known, measured = measured_in(part, target)
            if not known.any():
                continue
            errors = np.log(measured[known]) - rule.log_scale(setting)[known]
            inside = (errors >= rule.errors[0]) & (errors <= rule.errors[1])

            def numbers(times: Weights, errors: Weights = errors, inside: Weights = inside) -> Weights:
                factors = np.exp(weighted_quantiles(np.abs(errors), times, (0.5, 0.9)))
                return np.concatenate([factors, (inside @ times / times.sum(0))[None]])

            ends = over_seeds(alike[known], seeds[known], numbers)
            lines.append({
                "problem.name": problem, "method.optimiser": optimiser, "target": target, "given": given,
                "critics": int(known.sum()), **with_ends(MISSED, numbers(np.ones(len(errors))), ends),
            })  # fmt: skip
    return pd.DataFrame(lines)
