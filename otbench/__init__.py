"""otbench: clipped-critic dual estimates of the Wasserstein distance, held against exact optimal transport.

>>> import otbench
>>> pair = otbench.problem("translation", dim=2, shift=1.0).sample(256, mode="coupled")
>>> round(otbench.solve_exact(pair.x, pair.y).w1, 12)
1.0
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otbench.auditing import audit
    from otbench.bounds import lower_bounds
    from otbench.check import check_results
    from otbench.critics.training import train, train_many
    from otbench.errors import InputError, OtbenchError, ResultsError, UncertifiedError
    from otbench.exact import cost_matrix, solve_exact, verify_exact
    from otbench.methods import WeightClip, method
    from otbench.monitoring import BatchBound, monitor
    from otbench.problems import problem
    from otbench.tables import load
    from otbench.types import Bounds, ExactSolution, SamplePair

#: Public name → module. Loaded on first use (SPEC 1), so that reading results imports neither torch nor POT.
_HOME = {
    "audit": "auditing",
    "lower_bounds": "bounds",
    "check_results": "check",
    "train": "critics.training",
    "train_many": "critics.training",
    "InputError": "errors",
    "OtbenchError": "errors",
    "ResultsError": "errors",
    "UncertifiedError": "errors",
    "cost_matrix": "exact",
    "solve_exact": "exact",
    "verify_exact": "exact",
    "WeightClip": "methods",
    "method": "methods",
    "BatchBound": "monitoring",
    "monitor": "monitoring",
    "problem": "problems",
    "load": "tables",
    "Bounds": "types",
    "ExactSolution": "types",
    "SamplePair": "types",
}

__all__ = [
    "BatchBound",
    "Bounds",
    "ExactSolution",
    "InputError",
    "OtbenchError",
    "ResultsError",
    "SamplePair",
    "UncertifiedError",
    "WeightClip",
    "audit",
    "check_results",
    "cost_matrix",
    "load",
    "lower_bounds",
    "method",
    "monitor",
    "problem",
    "solve_exact",
    "train",
    "train_many",
    "verify_exact",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'otbench' has no attribute {name!r}")
    return getattr(importlib.import_module(f"otbench.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
