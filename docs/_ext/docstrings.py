"""Docstrings as plain text: a sign of mathematics in them is not taken for mark-up."""

import re
from typing import Any

#: A stretch of code, which stays as it is, or a sign that reStructuredText would take for mark-up.
LITERAL_OR_SIGN = re.compile(r"(``.+?``)|(\|)|(?<=[A-Za-z0-9])(_)(?=[\s,.;:)=]|$)")


def escaped(line: str) -> str:
    """The line with bars, as of |x_i - y_j|, and trailing underscores that stand for themselves."""
    return LITERAL_OR_SIGN.sub(lambda found: found[1] or f"\\{found[2] or found[3]}", line)


def _escape(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    lines[:] = [escaped(line) for line in lines]


def _plain_signature(
    _app: Any, what: str, _name: str, _object: Any, _options: Any, signature: str, _returns: str
) -> tuple[str, str]:
    """A class is made by functions here: its fields are told one by one, not as a call."""
    return ("" if what == "class" else signature), ""


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _escape)
    app.connect("autodoc-process-signature", _plain_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
