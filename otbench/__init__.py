"""otbench: clipped-critic dual estimates of the Wasserstein distance, held against exact optimal transport.

>>> import otbench
>>> pair = otbench.problem("translation", dim=2, shift=1.0).sample(256, mode="coupled")
>>> round(otbench.solve_exact(pair.x, pair.y).w1, 12)
1.0
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otbench.errors import InputError, OtbenchError, ResultsError, UncertifiedError
    from otbench.experiment.known import plugin
    from otbench.experiment.plugin import Plugin
    from otbench.methods import WeightClip, method
    from otbench.methods.audit import audit, audit_many
    from otbench.methods.certify import Certified, certify
    from otbench.methods.estimate import Estimate, estimate
    from otbench.methods.train import train, train_many
    from otbench.problems import problem
    from otbench.report.check.rules import check_results
    from otbench.report.contest import Contest, contest
    from otbench.results.folder import load
    from otbench.transport.bounds import lower_bounds
    from otbench.transport.dense import cost_matrix
    from otbench.transport.exact import solve_exact, verify_exact
    from otbench.transport.monitoring import BatchBound, monitor
    from otbench.types import Bounds, ExactSolution, SamplePair

#: Public name → module. Loaded on first use (SPEC 1), so that reading results imports neither torch nor POT.
_HOME = {
    "audit": "methods.audit",
    "audit_many": "methods.audit",
    "Certified": "methods.certify",
    "certify": "methods.certify",
    "Estimate": "methods.estimate",
    "estimate": "methods.estimate",
    "lower_bounds": "transport.bounds",
    "check_results": "report.check.rules",
    "contest": "report.contest",
    "Contest": "report.contest",
    "train": "methods.train",
    "train_many": "methods.train",
    "InputError": "errors",
    "OtbenchError": "errors",
    "ResultsError": "errors",
    "UncertifiedError": "errors",
    "cost_matrix": "transport.dense",
    "solve_exact": "methods.warm_start",
    "verify_exact": "transport.exact",
    "WeightClip": "methods",
    "method": "methods",
    "BatchBound": "transport.monitoring",
    "monitor": "transport.monitoring",
    "Plugin": "experiment.plugin",
    "plugin": "experiment.known",
    "problem": "problems",
    "load": "results.folder",
    "Bounds": "types",
    "ExactSolution": "types",
    "SamplePair": "types",
}

__all__ = [
    "BatchBound",
    "Bounds",
    "Certified",
    "Contest",
    "Estimate",
    "ExactSolution",
    "InputError",
    "OtbenchError",
    "Plugin",
    "ResultsError",
    "SamplePair",
    "UncertifiedError",
    "WeightClip",
    "audit",
    "audit_many",
    "certify",
    "check_results",
    "contest",
    "cost_matrix",
    "estimate",
    "load",
    "lower_bounds",
    "method",
    "monitor",
    "plugin",
    "problem",
    "solve_exact",
    "train",
    "train_many",
    "verify_exact",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":  # from pyproject.toml, by what was installed
        from importlib.metadata import version

        return version("otbench")
    if name not in _HOME:
        raise AttributeError(f"module 'otbench' has no attribute {name!r}")
    return getattr(importlib.import_module(f"otbench.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
