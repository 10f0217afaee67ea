"""Where declared experiments lie, and what they declare as one number; nothing of what they mean."""

import hashlib
import re
from pathlib import Path
from typing import Any

from otbench.errors import InputError, UnknownNameError
from otbench.files import PACKAGE, dump

#: Where experiments are looked up by name: the working directory's, then those that came with otbench.
FOLDERS = (
    Path("experiments"),
    PACKAGE / "experiments",
    PACKAGE.parent / "experiments",
)

#: What an experiment may be called: a folder below the results folder, and nothing else.
NAME = re.compile(r"\w([\w. -]*[\w.-])?")


def experiments() -> dict[str, Path]:
    """Every experiment that can be run by name, the working directory's first."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for file in sorted(folder.glob("*.toml")):
            found.setdefault(file.stem, file)
    return found


def find_experiment(name_or_path: str) -> Path:
    """The file of an experiment given by path or by name: one of ``experiments``, else NAME.toml here.

    Raises:
        InputError: there is none, or its results could not be kept under its name.
    """
    if name_or_path.endswith(".toml"):
        if not Path(name_or_path).is_file():
            raise InputError(f"no such experiment file: {name_or_path}")
        if not NAME.fullmatch(Path(name_or_path).stem):
            raise InputError(
                f"{name_or_path}: results go to a folder of the file's name, which must start with a letter or digit "
                "and have letters, digits, spaces, '.', '_' and '-' only"
            )
        return Path(name_or_path)
    known = experiments()
    if name_or_path not in known and NAME.fullmatch(name_or_path) and Path(f"{name_or_path}.toml").is_file():
        return Path(f"{name_or_path}.toml")
    if name_or_path not in known:
        raise UnknownNameError("experiment", name_or_path, known, "or pass a path ending in .toml")
    return known[name_or_path]


def declaration_digest(tables: dict[str, Any]) -> str:
    """SHA-256 of what a file declares, whatever its comments and layout."""
    try:
        return hashlib.sha256(dump(tables)).hexdigest()
    except (TypeError, ValueError):  # dates, NaN: nothing an experiment can mean
        raise InputError("an experiment holds text, numbers, flags, lists and tables; found a date or NaN") from None
