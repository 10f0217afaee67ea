"""A pytest plugin, loaded by pytest itself: assert that an estimate of W1 agrees with the exact value.

The fixture ``otbench_agreement`` is a function that fails a test whose estimate lies outside; the marker
``otbench_agreement(low, high)`` sets the limits for a test, a class or a module. Nothing of torch or POT is loaded
before a test asks.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from otbench.types import ExactSolution

#: The limits where none are given: a dual estimate is a lower bound, and says something.
LIMITS_OF_A_DUAL = (0.0, 1.0)

MARKER = "otbench_agreement"

#: Relative rounding of an estimate that is allowed beside the interval of the exact value: of sums in float32.
ESTIMATE_ROUNDING = 1e-6


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, so that --strict-markers accepts it."""
    config.addinivalue_line(
        "markers", f"{MARKER}(low, high): what otbench_agreement allows an estimate to be, as a multiple of exact W1"
    )


@dataclass(frozen=True)
class Agreement:
    """An estimate of W1 of two samples beside the exact value, with the interval that proves it."""

    estimate: float
    exact: "ExactSolution"
    low: float
    high: float

    @property
    def ratio(self) -> float:
        """The estimate over the exact W1; where that is 0, 1 if the estimate is too, else infinite."""
        if self.exact.w1 == 0:
            return 1.0 if self.estimate == 0 else math.copysign(math.inf, self.estimate)
        return self.estimate / self.exact.w1

    @property
    def holds(self) -> bool:
        """Whether some value that W1 may have has the estimate within its limits, up to rounding."""
        slack = ESTIMATE_ROUNDING * abs(self.estimate)
        ends = [limit * end for limit in (self.low, self.high) for end in (self.exact.lower, self.exact.upper)]
        return math.isfinite(self.estimate) and min(ends[:2]) - slack <= self.estimate <= max(ends[2:]) + slack

    def __str__(self) -> str:
        where = "below" if self.ratio < self.low else "above" if self.ratio > self.high else "within"
        where = where if math.isfinite(self.estimate) else "and must be a number in"
        return (
            f"raw {self.estimate:.9g} is {self.ratio:.6g} of exact W1, {where} [{self.low:g}, {self.high:g}]\n"
            f"exact W1 {self.exact.w1:.12g}, proved to lie in [{self.exact.lower:.12g}, {self.exact.upper:.12g}]"
        )


#: What the fixture is.
Agree = Callable[..., Agreement]


@pytest.fixture
def otbench_agreement(request: pytest.FixtureRequest) -> Agree:
    """A function ``agree(estimate, x, y, a=None, b=None, *, low=None, high=None)`` that fails the test unless the
    estimate lies in [low, high] times the exact W1 of the samples, which it returns beside it.

    ``estimate`` is a number, as a tensor of one element, or a critic f, whose raw = mean f(x) - mean f(y) it then is:
    a torch module or a function of an array. The limits are those given, else those of the nearest marker, else 0
    and 1.
    """
    marked = request.node.get_closest_marker(MARKER)
    marked_low, marked_high = _limits(marked)

    def agree(
        estimate: Any, x: Any, y: Any, a: Any = None, b: Any = None, *, low: float | None = None,
        high: float | None = None,
    ) -> Agreement:  # fmt: skip
        __tracebackhide__ = True
        least, most = marked_low if low is None else low, marked_high if high is None else high
        if not least <= most:
            pytest.fail(f"otbench_agreement: low must be at most high; got {least!r} and {most!r}", pytrace=False)
        found = Agreement(*_measured(estimate, x, y, a, b), least, most)
        if not found.holds:
            pytest.fail(f"otbench_agreement: {found}", pytrace=True)
        return found

    return agree


def _limits(marked: pytest.Mark | None) -> tuple[float, float]:
    """The limits of a marker."""
    if marked is None:
        return LIMITS_OF_A_DUAL
    given = dict(zip(("low", "high"), marked.args, strict=False)) | dict(marked.kwargs)
    numbers = all(isinstance(value, int | float) for value in given.values())
    if len(marked.args) > 2 or not set(given) <= {"low", "high"} or not numbers:
        raise pytest.UsageError(f"@pytest.mark.{MARKER} takes low and high, as (0.5, 1.0); got {marked!r}")
    return given.get("low", LIMITS_OF_A_DUAL[0]), given.get("high", LIMITS_OF_A_DUAL[1])


def _measured(estimate: Any, x: Any, y: Any, a: Any, b: Any) -> tuple[float, "ExactSolution"]:
    """The estimate as a number, and the exact solution."""
    from otbench.inputs import as_reals
    from otbench.methods.reading import read_critic
    from otbench.transport.exact import solve_exact

    flat_x, flat_y = (z.reshape(len(z), -1) if z.ndim > 2 else z for z in (as_reals("x", x), as_reals("y", y)))
    exact = solve_exact(flat_x, flat_y, a, b)
    if callable(estimate):
        read = read_critic(estimate, x, y, a, b, None, gradients=False)
        return float(read.pair.a @ read.fx - read.pair.b @ read.fy), exact
    value = as_reals("estimate", estimate)
    if value.size != 1:
        pytest.fail(f"otbench_agreement: an estimate is one number; got shape {value.shape}", pytrace=False)
    return float(value.reshape(-1)[0]), exact
