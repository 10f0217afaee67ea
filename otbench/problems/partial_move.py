"""Partial moves: two laws with any overlap from 0 to 1 in one place, the axis of overlaps at fixed diameter."""

from typing import Literal

from pydantic import Field

from otbench.problems.shared_mass import Overlapping


class PartialMove(Overlapping):
    """Two laws with any overlap in one place: a part of mass 1 - overlap goes ``width``, the cubes have side width.

    W1 = (1 - overlap) width falls with the overlap; in ``shared_mass`` it stays, and the diameter grows.
    """

    name: Literal["partial_move"] = "partial_move"
    width: float = Field(1.0, ge=1e-100, le=1e100, description="of the cubes, and how far the part moves")

    @property
    def side(self) -> float:
        return self.width

    @property
    def move(self) -> float:
        return self.width

    @property
    def population_w1(self) -> float:
        return (1 - self.overlap) * self.width
