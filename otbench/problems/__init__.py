"""Problems: families of pairs of laws whose Wasserstein distance is known, one family per file."""

from typing import Any

from otbench.errors import UnknownNameError
from otbench.problems.arrays import Arrays
from otbench.problems.base import Mode, Problem
from otbench.problems.concentric import Balls, Spheres
from otbench.problems.digits import Digits
from otbench.problems.funnels import Funnels
from otbench.problems.lift import Lift
from otbench.problems.mnist import Mnist
from otbench.problems.partial_move import PartialMove
from otbench.problems.patches import Patches
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
    "partial_move": PartialMove,
    "lift": Lift,
    "funnels": Funnels,
    "digits": Digits,
    "mnist": Mnist,
    "patches": Patches,
    "arrays": Arrays,
}

__all__ = ["PROBLEMS", "Mode", "Problem", "problem"]


def problem(name: str, *, folder: str = ".", **fields: Any) -> Problem:
    """A pair of laws by the name of its family, as experiments name it: see ``otbench list``.

    Args:
        name: the family, such as "translation".
        folder: where files that the fields name are looked up.
        fields: ``dim``, the dimension, and the family's own parameters, in the data's unit where they are lengths.

    Returns:
        A frozen description; ``sample`` draws points of it, ``population_w1`` is W1 of the laws where it is known.

    Raises:
        InputError: no such family or field, for which the nearest name is offered; a value of the wrong type or out of
            range; a file that cannot be read.

    Source: the family's own, in its ``source``.
    """
    if name not in PROBLEMS:
        raise UnknownNameError("problem", name, PROBLEMS)
    return PROBLEMS[name].parse({"name": name, **fields}, folder)
