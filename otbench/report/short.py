"""A value as a cell of a table shows it."""

import pandas as pd


def short(value: object) -> str:
    """Three significant digits; an empty cell where there is no number."""
    if value is None or value is pd.NA or value != value:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
