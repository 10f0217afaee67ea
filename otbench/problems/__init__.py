"""The problems: families of laws with known answers, one family a file."""

from typing import Any

from otbench.errors import UnknownNameError
from otbench.problems.arrays import Arrays
from otbench.problems.base import Mode, Problem
from otbench.problems.concentric import Balls, Spheres
from otbench.problems.digits import Digits
from otbench.problems.funnels import Funnels
from otbench.problems.lift import Lift
from otbench.problems.scaling import Scaling
from otbench.problems.segments import Segments
from otbench.problems.shared_mass import SharedMass
from otbench.problems.translation import Translation

#: Every problem by the name experiments use; a new family is one file and one line here.
PROBLEMS: dict[str, type[Problem]] = {
    "translation": Translation,
    "scaling": Scaling,
    "spheres": Spheres,
    "balls": Balls,
    "segments": Segments,
    "shared_mass": SharedMass,
    "lift": Lift,
    "funnels": Funnels,
    "digits": Digits,
    "arrays": Arrays,
}

__all__ = ["PROBLEMS", "Mode", "Problem", "problem"]


def problem(name: str, *, folder: str = ".", **fields: Any) -> Problem:
    """The problem ``name`` with ``fields`` (``dim`` and the family's own); files are looked up in ``folder``.

    Raises:
        UnknownNameError: no such problem or field; the nearest name is offered.
        InputError: a value of the wrong type or out of range.
    """
    if name not in PROBLEMS:
        raise UnknownNameError("problem", name, PROBLEMS)
    return PROBLEMS[name].parse({"name": name, **fields}, folder)
