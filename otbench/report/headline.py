"""The headline: what every critic of an experiment prints and what it proves, a line per cell, seeds taken together."""

import string
from collections.abc import Sequence

import pandas as pd

from otbench.errors import UnknownNameError
from otbench.report.short import short
from otbench.results.store import SEEDS
from otbench.results.tables.bracketed import RATIO_ENDS, counted, in_exact_lines, with_ends
from otbench.results.tables.cells import cell_columns
from otbench.results.tables.intervals import median_intervals

#: What is measured, with its heading; where room is short the last are left out first.
MEASURED = {
    "c_over_c_star": "c/c*",
    "raw_over_w1": "raw/W1",
    "slope_over_w1": "slope/W1",
    "c_transform_over_w1": "c-transform/W1",
    "nearest_over_w1": "nearest/W1",
    "skill": "skill",
    "held_out_over_population_w1": "held out/W1 of laws",
    "plan_cosine": "plan cosine",
    "cosine": "cosine",
    "clip_bound_over_w1": "raw/K(c)/W1",
}

#: Headings that are not a column's own name less its ``problem.``, ``sampling.`` or ``method.``.
HEADINGS = {"problem.name": "problem", "method.clip": "clip c", **MEASURED}

#: Columns that follow from others as a rule: each is shown only where it tells two lines apart that look alike.
DEPENDENT = ("depth", "version", "sha256", "plugin", "has_law", "clip_over_c_star")

#: Cell columns that are shown wherever some cell has a value, whether they vary or not.
SHOWN_ALWAYS = ("problem.dim", "method.lr", "method.lr_unit", "method.clip")


#: What a line is of before anything else: shown on the narrowest terminal.
FIRST = ("problem.name", "problem.dim")


def headline(frame: pd.DataFrame, columns: Sequence[str] = (), intervals: bool = False) -> pd.DataFrame:
    """Medians over the seeds of every cell: nothing that differs in more than its seed is in one median.

    Args:
        frame: rows with their derived columns, as ``otbench.load`` gives them.
        columns: numeric columns of the frame to show; those of ``MEASURED`` that have values when left out.
        intervals: add every median's 95 % interval over seeds, as columns ``NAME_low`` and ``NAME_high``.

    Returns:
        A line per cell but for its seed, those of the problem and sampling mode with the most cells first: the columns
        of ``identity``, ``cells`` (how many seeds there are), ``ok`` (how many of them have numbers), ``intervals``
        (how many of them have an interval in place of W1, where any has), and the medians. Of a line with any interval
        a ratio to W1 has the medians of its two ends alone.

    Raises:
        UnknownNameError: a column the frame does not have, or that is no number.
    """
    chosen = _measured(frame, columns)
    ok = frame["status"] == "ok"
    cell = [name for name in cell_columns(frame) if name not in SEEDS]
    keys = list(dict.fromkeys([*cell, "critic"]))
    numbers = in_exact_lines(frame, keys)[chosen].astype("float64").where(ok)
    groups = frame.assign(ok=ok).groupby(keys, dropna=False, sort=False)
    counts = groups["ok"].agg(cells="size", ok="sum").assign(**counted(groups))
    medians = numbers.groupby([frame[name] for name in keys], dropna=False, sort=False).median()
    found = counts.join(medians)
    shown = chosen
    if intervals:
        known = frame.assign(**{name: numbers[name] for name in chosen})
        found = found.join(median_intervals(known, keys, chosen))
        shown = [f"{name}{end}" for name in chosen for end in ("", "_low", "_high")]
    told = [name for name in ("cells", "ok", "intervals") if name in found]
    return _largest_first(found.reset_index())[[*identity(frame), *told, *shown]]


def identity(frame: pd.DataFrame) -> list[str]:
    """The columns that tell the lines of a headline apart: whatever varies between the cells, seeds aside.

    A problem's field varies where two cells of one problem differ in it, a method's where two of one method do.
    """
    named = {"problem": frame["problem.name"], "method": frame["critic"]}
    shown, doubtful = ["problem.name"] if named["problem"].nunique() > 1 else [], []
    for kind in ("problem", "sampling", "method"):
        if kind == "method":
            shown.append("critic")
        for name in cell_columns(frame, f"{kind}."):
            values = frame[name].groupby(named[kind]) if kind in named else frame[name]
            varies = int(pd.Series(values.nunique(dropna=False)).max()) > 1
            if name.split(".")[1] in DEPENDENT:
                doubtful += [name] * varies
            elif name != f"{kind}.name" and (varies or (name in SHOWN_ALWAYS and frame[name].notna().any())):
                shown.append(name)
    for name in doubtful:
        if _lines(frame, [*shown, name]) > _lines(frame, shown):
            shown.append(name)
    return sorted(shown, key=_place)


def _place(name: str) -> tuple[int, int]:
    """Problem, sampling, critic, then its fields; the dimension before other fields, rate and clip value after."""
    kind = name.split(".")[0]
    rank = {"problem.name": 0, "problem.dim": 1, "method.lr": 3, "method.lr_unit": 4, "method.clip": 5}.get(name, 2)
    return ("problem", "sampling", "critic", "method").index(kind), rank


def _lines(frame: pd.DataFrame, names: list[str]) -> int:
    return int(frame.groupby(names, dropna=False).ngroups)


def _largest_first(table: pd.DataFrame) -> pd.DataFrame:
    """The lines with those of the problem and sampling mode that most lines are of first, their order kept."""
    sizes = table.groupby(["problem.name", "sampling.mode"], sort=False)["cells"].transform("sum")
    return table.loc[sizes.sort_values(ascending=False, kind="stable").index].reset_index(drop=True)


def _measured(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The columns of numbers to show, by their own names; headings are understood too."""
    names = {heading: name for name, heading in MEASURED.items()}
    numeric = [str(c) for c in frame if pd.api.types.is_numeric_dtype(frame[c]) and str(c) not in cell_columns(frame)]
    chosen = [names.get(column, column) for column in columns]
    for name in chosen:
        if name not in numeric:
            raise UnknownNameError("column of numbers", name, numeric)
    chosen = chosen or [name for name in MEASURED if frame[with_ends(frame, [name])].notna().any(axis=None)]
    return list(dict.fromkeys(with_ends(frame, chosen)))


def by_problem_and_mode(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of every problem and sampling mode, those with the most cells first."""
    groups = [part for _, part in frame.groupby(["problem.name", "sampling.mode"], sort=False, dropna=False)]
    return sorted(groups, key=len, reverse=True)


def told_by_others(table: pd.DataFrame) -> list[str]:
    """The columns of problem and sampling in a headline that tell no two lines apart, the others being there: sizes
    that go with a field of the problem, or with one another."""
    telling = [str(name) for name in table if name == "critic" or "." in str(name)]
    lines, found = _lines(table, telling), list[str]()
    for name in reversed(telling):
        if name.startswith(("problem.", "sampling.")) and name not in FIRST:
            others = [other for other in telling if other not in (name, *found)]
            found += [name] * (_lines(table, others) == lines)
    return found[::-1]


def fields_in_names(table: pd.DataFrame) -> pd.DataFrame:
    """A headline in which a critic's one field that no other critic has is told beside its name, and has no column."""
    critics, own = table["critic"], dict[str, list[str]]()
    for column in [str(name) for name in table if str(name).startswith("method.") and name not in SHOWN_ALWAYS]:
        if len(of := critics[table[column].notna()].unique()) == 1 < critics.nunique():
            own.setdefault(of[0], []).append(column)
    names, told = critics.astype(str), [columns[0] for columns in own.values() if len(columns) == 1]
    for column in told:
        value = f" {column.split('.')[1]}=" + table[column].map(_exactly)
        names = names + value.where(table[column].notna(), "")
    return table.assign(critic=names).drop(columns=told)


def settings_by_letter(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """A headline in which whatever else tells critics apart is a letter beside their name, and has no column; and what
    each letter stands for. It is as it was where nothing else does, or there are more settings than letters."""
    columns = [str(name) for name in table if str(name).startswith("method.") and name not in SHOWN_ALWAYS]
    fields = [name.split(".")[1] for name in columns]
    lines = (zip(fields, line, strict=True) for line in table[columns].itertuples(index=False))
    told = [", ".join(f"{field}={_exactly(value)}" for field, value in line if pd.notna(value)) for line in lines]
    letters = dict(zip(dict.fromkeys(filter(None, told)), string.ascii_uppercase, strict=False))
    if not columns or not set(told) <= {"", *letters}:
        return table, {}
    names = [f"{name} {letters.get(text, '')}".strip() for name, text in zip(table["critic"], told, strict=True)]
    return table.assign(critic=names).drop(columns=columns), {letter: text for text, letter in letters.items()}


def constants(frame: pd.DataFrame) -> str:
    """What all cells have in common, in words: the problem and the sampling mode, where there is one."""
    return ", ".join(str(frame[n].iloc[0]) for n in ("problem.name", "sampling.mode") if frame[n].nunique() == 1)


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    """A headline as text cells with short headings: rates with their unit, numbers of three digits, in brackets both
    ends where W1 is an interval, and how many seeds have numbers where some have none."""
    shown = table.copy()
    for name in [name for name in table if f"{name}{RATIO_ENDS[0]}" in table]:
        ends = [f"{name}{end}" for end in RATIO_ENDS]
        least, most = (shown[end].map(short) for end in ends)
        both = ("[" + least + ", " + most + "]").where(shown[ends].notna().all(axis=1), "")
        shown[name] = shown[name].map(short).where(shown[name].notna(), both)
        shown = shown.drop(columns=ends)
    if "method.lr_unit" in table:
        unit = table["method.lr_unit"].map({"clip": " c"}).fillna("")
        shown["method.lr"] = table["method.lr"].map(_exactly) + unit
        shown = shown.drop(columns="method.lr_unit")
    if (table["ok"] == table["cells"]).all():
        shown = shown.drop(columns=["cells", "ok"])
    else:
        shown["ok"] = [f"{ok} of {cells}" for ok, cells in zip(table["ok"], table["cells"], strict=True)]
        shown = shown.drop(columns="cells")
    for name in shown:
        told = "." in str(name) or name == "critic"  # what a line is of is told in full, what was measured in short
        shown[name] = shown[name].map(_exactly if told else short)
    return shown.rename(columns=_headings([str(name) for name in shown]))


def _headings(names: list[str]) -> dict[str, str]:
    """A heading per column: its last part, or all of it where two columns have the same last part."""
    last = [HEADINGS.get(name, name.split(".")[-1]) for name in names]
    return {name: part if last.count(part) == 1 else name for name, part in zip(names, last, strict=True)}


def _exactly(value: object) -> str:
    """A value that tells lines apart: six digits of a number, text as it is, nothing where there is none."""
    return f"{value:g}" if isinstance(value, float) and value == value else short(value)
