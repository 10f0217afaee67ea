"""Critics that do not fit in memory together are fitted in halves, and none of them is lost."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pytest
import torch

from otbench.methods import Fitted, Job
from otbench.methods.base import Method
from otbench.methods.fitting import fit_together
from otbench.types import SamplePair

JOB = Job(SamplePair(np.zeros((2, 1)), np.ones((2, 1))), 0, None, None)


class Tight(Method):
    """A method for which there is memory for ``most`` critics at once, and whose critics are known by ``number``."""

    tried: ClassVar[list[int]] = []
    error: ClassVar[Any] = None

    name: Literal["tight"] = "tight"
    number: int
    most: int

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        cls.tried.append(len(jobs))
        if len(jobs) > methods[0].most:
            raise cls.error
        return [Fitted(None, reason=str(method.number)) for method in methods]


FULL = torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(("count", "most", "tried", "error"), [
    (10, 10, [10], FULL),
    (10, 4, [10, 5, 2, 3, 5, 2, 3], FULL),
    (3, 1, [3, 1, 2, 1, 1], FULL),
    (3, 1, [3, 1, 2, 1, 1], MemoryError()),
    (3, 1, [3, 1, 2, 1, 1], RuntimeError("you tried to: can't allocate memory")),
])  # fmt: skip
def test_what_does_not_fit_is_halved_and_none_of_its_critics_is_lost(
    count: int, most: int, tried: list[int], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tight, "tried", [])
    monkeypatch.setattr(Tight, "error", error)
    found = fit_together([Tight(number=k, most=most) for k in range(count)], [JOB] * count, "cpu")
    assert [fitted.reason for fitted in found] == [str(k) for k in range(count)]
    assert Tight.tried == tried


@pytest.mark.parametrize(("most", "error"), [(0, FULL), (3, RuntimeError("else"))])
def test_a_critic_that_does_not_fit_alone_and_any_other_error_are_raised(
    most: int, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tight, "tried", [])
    monkeypatch.setattr(Tight, "error", error)
    with pytest.raises(type(error), match=str(error)):
        fit_together([Tight(number=k, most=most) for k in range(4)], [JOB] * 4, "cpu")
    assert Tight.tried == ([4, 2, 1] if most == 0 else [4])
