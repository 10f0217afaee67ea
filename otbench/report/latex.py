"""Tables as a paper has them: booktabs, few columns, digits that the interval's width gives, TeX's characters escaped.

The rule of digits: a number with an interval [low, high] is written, as are its ends, to the second significant digit
of the interval's half-width, but to six significant digits of its own at most; a number without one, or with one of no
width, to three significant digits. Numbers below 0.001 or from 100 000 on have a power of ten.
"""

import math
import re
from collections.abc import Iterable, Sequence

import pandas as pd

from otbench.report.headline import HEADINGS
from otbench.report.short import short

#: Significant digits of an interval's half-width, of a number without an interval, and of a number at most.
OF_HALF_WIDTH, ALONE, AT_MOST = 2, 3, 6

#: Sizes that are written without a power of ten.
PLAIN = (1e-3, 1e5)

#: TeX's special characters in text; a bracket or an asterisk would otherwise be an option of the end of a line.
SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", "]": "{]}", "*": "{*}", "`": r"\textasciigrave{}",
}  # fmt: skip

#: Symbols of the field in headings, as TeX sets them.
SYMBOLS = {"W1": "$W_1$", "c/c*": r"$c/c^\ast$", "clip c": "clip $c$", "K(c)": "$K(c)$"}

#: Columns whose numbers are lengths, or values of a function of slope 1: in the unit of the data.
IN_DATA_UNIT = frozenset({
    "primal", "population_w1", "coupled_w1", "nearest", "c_transform", "slope", "clip_bound", "spectral", "held_out",
    "held_out_lower", "upper", "upper_bound", "sampling_error", "sampling_floor", "longest_move", "spread", "shift",
})  # fmt: skip

#: What holds a number's interval, and what else summarises the same numbers.
INTERVAL_ENDS, QUARTILES = ("_low", "_high"), ("_q1", "_q3")

#: Columns that no paper prints: what tells versions, content and machines apart.
INTERNAL = ("version", "sha256", "plugin", "key", "machine", "reason", "schema", "status", "has_law")


def escaped(text: str) -> str:
    """Text as TeX sets it, whatever it holds; what TeX's fonts lack is a question mark."""
    kept = " ".join(text.split())
    return "".join(SPECIAL.get(c, c if c.isascii() and c.isprintable() else "?") for c in kept)


def number(value: float, low: float = math.nan, high: float = math.nan) -> str:
    """A number in mathematics, with its interval where it has one; nothing where it is missing."""
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    bounded = math.isfinite(low) and math.isfinite(high)
    numbers = [value, low, high] if bounded else [value]
    power = _power(numbers)
    scaled = [each / 10.0**power for each in numbers]
    places = _places(scaled)
    first, *ends = (f"{round(each, places) + 0.0:.{max(places, 0)}f}" for each in scaled)
    text = f"{first}\\ [{ends[0]},\\,{ends[1]}]" if bounded else first
    if not power:
        return f"${text}$"
    return f"$({text})\\times 10^{{{power}}}$" if bounded else f"${text}\\times 10^{{{power}}}$"


def _power(numbers: Sequence[float]) -> int:
    """The power of ten that numbers are written with."""
    size = max(map(abs, numbers))
    return 0 if size == 0 or PLAIN[0] <= size < PLAIN[1] else math.floor(math.log10(size))


def _places(numbers: Sequence[float]) -> int:
    """How many decimals a number gets, with its interval if there is one; below 0 of tens, hundreds and so on."""
    value, *ends = numbers
    half_width = (ends[1] - ends[0]) / 2 if ends else 0.0
    if not half_width > 0:
        return ALONE - 1 - _magnitude(value, ALONE)
    largest = max(_magnitude(each, AT_MOST) for each in numbers)
    return min(OF_HALF_WIDTH - 1 - _magnitude(half_width, OF_HALF_WIDTH), AT_MOST - 1 - largest)


def _magnitude(value: float, digits: int) -> int:
    """The place of the first significant digit of a number that is rounded to some of them: 0 of units."""
    return int(f"{value:.{digits - 1}e}".partition("e")[2])


def heading(name: str) -> str:
    """A column's heading: its words with the field's symbols, and its unit in brackets where it has one."""
    base = name.removesuffix("_median")
    last = base.split(".")[-1]
    words = HEADINGS.get(base) or last.replace("_over_population_w1", "/W1 of laws").replace("_over_w1", "/W1")
    parts = re.split("(" + "|".join(map(re.escape, SYMBOLS)) + ")", words.replace("_", " "))
    unit = "s" if last.startswith("seconds") else "data's unit" if last in IN_DATA_UNIT else ""
    unit = r"$\mu$s" if last.startswith("microseconds") else "B" if last.endswith("bytes") else unit
    return "".join(SYMBOLS.get(part) or escaped_within(part) for part in parts) + (f" ({unit})" if unit else "")


def escaped_within(text: str) -> str:
    """As ``escaped``, with the spaces at its ends."""
    return text[: len(text) - len(text.lstrip())] + escaped(text) + text[len(text.rstrip()) :] if text.strip() else text


def latex_table(table: pd.DataFrame, note: str = "") -> str:
    """A booktabs tabular of a table whose intervals stand beside its numbers as ``NAME_low`` and ``NAME_high``.

    What is the same in every line is told once, in a comment above; what no paper prints is left out.
    """
    kept, same = _for_paper(table)
    heads = [heading(name) for name in kept]
    heads = [escaped(name) if heads.count(head) > 1 else head for name, head in zip(kept, heads, strict=True)]
    told = [note] * bool(note)
    told += ["the same in all lines: " + ", ".join(f"{name} = {value}" for name, value in same.items())] * bool(same)
    sides = "".join("r" if pd.api.types.is_numeric_dtype(table[name]) else "l" for name in kept)
    cells = zip(*(_cells(table, name) for name in kept), strict=True)
    body = [r"\toprule", _line(heads), r"\midrule", *map(_line, cells), r"\bottomrule"]
    comments = [f"% {' '.join(text.split())}" for text in told]
    return "\n".join([*comments, rf"\begin{{tabular}}{{{sides}}}", *body, r"\end{tabular}"]) + "\n"


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _for_paper(table: pd.DataFrame) -> tuple[list[str], dict[str, str]]:
    """The columns that a paper's table has, and those that have one value in all lines, as text."""
    names = [str(name) for name in table]
    if {"cells", "ok"} <= set(names) and (table["cells"] == table["ok"]).all():
        names.remove("ok")  # all seeds have numbers
    beside = {f"{name.removesuffix('_median')}{end}" for name in names for end in (*INTERVAL_ENDS, *QUARTILES)}
    kept, same = [], {}
    for name in names:
        if name in beside or name.split(".")[-1] in INTERNAL or table[name].isna().all():
            continue
        measured = bool(beside & {f"{name.removesuffix('_median')}_low"} & set(names))
        if len(table) > 1 and not measured and table[name].nunique(dropna=False) == 1:
            same[name] = short(table[name].iloc[0])
        else:
            kept.append(name)
    return kept, same


def _cells(table: pd.DataFrame, name: str) -> list[str]:
    """A column's cells."""
    column, base = table[name], name.removesuffix("_median")
    if not pd.api.types.is_float_dtype(column):
        return [escaped(short(value)) for value in column]
    ends = [table[f"{base}{end}"] if f"{base}{end}" in table else [math.nan] * len(table) for end in INTERVAL_ENDS]
    return [number(*map(float, values)) for values in zip(column, *ends, strict=True)]
