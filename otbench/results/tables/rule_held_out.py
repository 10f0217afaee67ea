"""How far the rule for a critic's scale is off where it was not fitted, and the interval that it claims.

The interval is conformal over families of problems (Vovk, Gammerman, Shafer 2005; the jackknife of Barber, Candes,
Ramdas, Tibshirani 2021): every family is left out of a fit in turn, the quantiles 0.025 and 0.975 of its
log(measured / predicted) are taken, and the interval reaches from the least to the greatest of them. With k families,
could they be exchanged, no theorem gives more than k / (k + 1), and k is three. What the interval covers is therefore
measured, again by leaving out: the interval made without a family is held against that family (column ``covered``).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from otbench.results.tables.rule_intervals import (
    Statistic,
    Weights,
    equal_parts,
    over_seeds,
    settings_in,
    weighted_quantile,
    weighted_quantiles,
    with_ends,
)
from otbench.results.tables.scale_rule import (
    FEWEST,
    GIVEN,
    TARGETS,
    TERMS,
    Floats,
    ScaleRule,
    Setting,
    families,
    fit,
    fitted_rows,
    measured_in,
    settings_of,
    shrunk,
    trained,
)

Labels = NDArray[np.object_]

#: The share of a left-out family beyond either of its quantiles. The interval claims nine of ten, and so few families
#: need the room: with tails of 0.05 the family that is covered least is covered less than that by far.
BEYOND = 0.025

#: The numbers of a line of what is left out: of our rule, of one factor per layer, of K(c) itself, and of the interval.
OFF = [*(f"{of}{which}_factor" for of in ("", "per_layer_", "naive_") for which in ("median", "p90")), "covered"]


def rule_table(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per target and per what is given: the rule fitted on all rows, and what it was fitted on.

    Every coefficient has the ends of its interval over seeds, at the fitted kappa and rho, and the least and the most
    that it is when a family of problems is left out, which is the larger uncertainty. ``error_low`` to ``error_high``
    is the interval of measured/predicted, empty where there are fewer than two families.
    """
    rows = fitted_rows(frame)
    if len(rows) < FEWEST:
        return pd.DataFrame()
    setting, parts = settings_of(rows), families(rows)
    told, lines = _fitted_on(rows, setting), []
    for target in TARGETS:
        known, measured = measured_in(rows, target)
        if known.sum() < FEWEST:
            continue
        for given in GIVEN:
            weights = np.where(known, equal_parts(parts, rows["problem.name"].to_numpy()), 0.0)
            rule = fit(setting, measured, given, weights)
            without = _without_each(setting, measured, given, weights, parts)
            each = [fold.coefficients for fold in without.values()] or [np.full(len(TERMS), np.nan)]
            ends = _ends_over_seeds(rows[known], setting.take(known), measured[known], given, weights[known], rule)
            low, high = np.exp(claimed(without, setting, measured, known, parts))
            lines.append({
                "target": target, "given": given, "critics": int(known.sum()), "families": len(np.unique(parts[known])),
                "kappa": rule.kappa, "rho": rule.rho, **with_ends(list(TERMS), rule.coefficients, ends),
                **{f"{name}_least": part for name, part in zip(TERMS, np.min(each, axis=0), strict=True)},
                **{f"{name}_most": part for name, part in zip(TERMS, np.max(each, axis=0), strict=True)},
                "error_low": low, "error_high": high, **told,
            })  # fmt: skip
    return pd.DataFrame(lines)


def _fitted_on(rows: pd.DataFrame, setting: Setting) -> dict[str, object]:
    """The ranges and the names of what a rule is fitted on."""
    depth, width = [len(w) for w in setting.widths], [max(w, default=1) for w in setting.widths]
    ranges = {
        "dim": setting.dim, "depth": np.array(depth), "width": np.array(width),
        "reach": setting.lr * setting.steps / setting.clip, "steps": setting.steps,
        "c_over_c_star": rows["c_over_c_star"].to_numpy(dtype=np.float64),
    }  # fmt: skip
    ends = {f"{name}_{end}": part for name, of in ranges.items()
            for end, part in (("low", of.min()), ("high", of.max()))}  # fmt: skip
    names = {"problems": "problem.name", "optimisers": "method.optimiser"}
    return ends | {name: " ".join(sorted(set(rows[column].astype(str)))) for name, column in names.items()}


def _ends_over_seeds(
    rows: pd.DataFrame, setting: Setting, measured: Floats, given: str, weights: Weights, rule: ScaleRule
) -> tuple[Weights, Weights]:
    """The intervals over seeds of a rule's coefficients: fitted again in every draw, at its kappa and rho, without the
    critics that it took for untrained."""
    terms = setting.terms[:, : GIVEN[given]]
    bare = ScaleRule(rule.kappa, rule.rho, np.zeros(len(TERMS)), rule.errors)
    left = np.log(measured) - bare.log_scale(setting)
    sure = np.where(trained(terms, left, weights), weights, 0.0)

    def coefficients(times: Weights) -> Weights:
        found = shrunk(terms, left, (times.T * sure).T)
        return np.concatenate([found, np.zeros((len(TERMS) - len(found), *found.shape[1:]))])

    return _ends(rows, coefficients)


def _ends(rows: pd.DataFrame, statistic: Statistic) -> tuple[Weights, Weights]:
    return over_seeds(settings_in(rows), rows["seed"].to_numpy(dtype=np.int64), statistic)


def _without_each(
    setting: Setting, measured: Floats, given: str, weights: Weights, parts: Labels
) -> dict[object, ScaleRule]:
    """The rules fitted without each part in turn, where at least FEWEST critics are left."""
    inside = weights > 0
    known = [part for part in np.unique(parts[inside]) if (inside & (parts != part)).sum() >= FEWEST]
    return {part: fit(setting, measured, given, np.where(parts != part, weights, 0.0)) for part in known}


def claimed(
    without: dict[object, ScaleRule], setting: Setting, measured: Floats, known: NDArray[np.bool_], parts: Labels
) -> Floats:
    """The ends of the interval of log(measured / predicted): the least and the greatest quantile of any left-out part;
    NaN where fewer than two parts were left out."""
    if len(without) < 2:
        return np.full(2, np.nan)
    ends = []
    for part, rule in without.items():
        out = known & (parts == part)
        errors = np.log(measured[out]) - rule.log_scale(setting)[out]
        ends.append([float(weighted_quantile(errors, np.ones(len(errors)), tail)) for tail in (BEYOND, 1 - BEYOND)])
    return np.array([np.min(ends, axis=0)[0], np.max(ends, axis=0)[1]])


def held_out(frame: pd.DataFrame) -> pd.DataFrame:
    """The errors of rules that were fitted without a part of the critics, on what was left out.

    Left out are families of problems, in which near-twins are together; single problems, whose twins stay; and
    dimensions. An error is the factor max(measured/predicted, predicted/measured). There are its median and its 90 %
    quantile. In the value "all" every part that was left out weighs the same, and in it every problem. Of families
    there are, from the same critics, also the errors of K(c) itself (``naive``), a bound and no estimate, and those of
    the simplest rule that is fitted (``per_layer``): K(min(c, lr steps)) times one constant factor per layer; and
    ``covered``, the share of left-out critics in the interval that was made without them. All have their intervals over
    seeds, with the fits as they are: these show how little seeds matter, the parts how much problems do.
    """
    rows = fitted_rows(frame)
    if len(rows) < FEWEST:
        return pd.DataFrame()
    setting = settings_of(rows)
    schemes = {"family": families(rows), "problem.name": rows["problem.name"].to_numpy(dtype=object),
               "problem.dim": rows["problem.dim"].to_numpy(dtype=object)}  # fmt: skip
    lines: list[dict[str, object]] = []
    for target in TARGETS:
        known, measured = measured_in(rows, target)
        for given in GIVEN:
            for column, parts in schemes.items():
                weights = np.where(known, equal_parts(parts, rows["problem.name"].to_numpy(dtype=object)), 0.0)
                without = _without_each(setting, measured, given, weights, parts)
                if not without:
                    continue
                errors = {"": _errors(setting, measured, weights, parts, without)}
                if column == "family":
                    errors |= _plain(rows, setting, measured, weights, parts, without)
                    errors["covered"] = _covered(setting, measured, given, weights, parts, without)
                named = {"target": target, "given": given, "left_out": column}
                lines += [named | line for line in _summary(rows, parts, weights, errors)]
    return pd.DataFrame(lines)


def _errors(
    setting: Setting, measured: Floats, weights: Weights, parts: Labels, without: dict[object, ScaleRule]
) -> Floats:
    """|log(measured / predicted)| (k,) of every left-out critic; else NaN."""
    found = np.full(len(parts), np.nan)
    for part, rule in without.items():
        out = (weights > 0) & (parts == part)
        found[out] = np.abs(np.log(measured[out]) - rule.log_scale(setting)[out])
    return found


def _plain(
    rows: pd.DataFrame, setting: Setting, measured: Floats, weights: Weights, parts: Labels,
    without: dict[object, ScaleRule],
) -> dict[str, Floats]:  # fmt: skip
    """The errors (k,) of the two plain rules on every left-out critic; else NaN."""
    layers = setting.terms[:, TERMS.index("layers")]
    reached = np.minimum(1.0, setting.lr * setting.steps / setting.clip)
    known = np.where(weights > 0, measured, 1.0)
    over = np.log(known / rows["clip_constant"].to_numpy(dtype=np.float64))
    factors, near = np.full(len(parts), np.nan), over / layers - np.log(reached)
    for part in without:
        inside = (weights > 0) & (parts != part)
        factors[(weights > 0) & (parts == part)] = weighted_quantile(near[inside], weights[inside], 0.5)
    tested = np.where(np.isnan(factors), np.nan, over)
    return {"per_layer_": np.abs(layers * (near - factors)), "naive_": np.abs(tested)}


def _covered(
    setting: Setting, measured: Floats, given: str, weights: Weights, parts: Labels, without: dict[object, ScaleRule]
) -> Floats:
    """1 or 0 (k,): whether a left-out critic is in the interval made without its part; NaN where there is none."""
    inside = np.full(len(parts), np.nan)
    for part, rule in without.items():
        rest, out = np.where(parts != part, weights, 0.0), (weights > 0) & (parts == part)
        low, high = claimed(_without_each(setting, measured, given, rest, parts), setting, measured, rest > 0, parts)
        if not np.isnan(low):
            errors = np.log(measured[out]) - rule.log_scale(setting)[out]
            inside[out] = (errors >= low) & (errors <= high)
    return inside


def _summary(
    rows: pd.DataFrame, parts: Labels, weights: Weights, errors: dict[str, Floats]
) -> Iterator[dict[str, object]]:
    """The lines of one scheme: one per left-out part, and "all"."""
    tested = ~np.isnan(errors[""])
    values = [value for value in dict.fromkeys(parts) if (tested & (parts == value)).any()]
    for value, which in [*((value, tested & (parts == value)) for value in values), ("all", tested)]:
        of = {name: error[which] for name, error in errors.items()}

        def numbers(times: Weights, of: dict[str, Floats] = of, which: NDArray[np.bool_] = which) -> Weights:
            w = (times.T * weights[which]).T
            factors = [np.exp(weighted_quantiles(of[name], w, (0.5, 0.9))) for name in of if name != "covered"]
            shares = [(of["covered"] @ w / w.sum(0))[None]] if "covered" in of else []
            return np.concatenate([*factors, *shares])

        ends = _ends(rows[which], numbers)
        line: dict[str, object] = {"value": str(value), "critics": int(which.sum())}
        yield line | with_ends(OFF if "covered" in of else OFF[:2], numbers(np.ones(int(which.sum()))), ends)
