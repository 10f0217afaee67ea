"""The errors a user can meet: one line each, saying the rule, what came, and what to do."""

import difflib
from collections.abc import Iterable


class OtbenchError(Exception):
    """Base of every error otbench raises on purpose; its text is one line."""


class InputError(OtbenchError, ValueError):
    """Something that was handed in breaks a rule; nothing was computed or written."""


class UnknownNameError(InputError):
    """A name that is not one of the known ones; the text offers the nearest."""

    def __init__(self, kind: str, name: object, known: Iterable[str], remedy: str = "") -> None:
        known = sorted(known)
        near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
        super().__init__(f"unknown {kind} {name!r}: {hint}{'; ' + remedy if remedy else ''}")


class UncertifiedError(OtbenchError):
    """The exact solver's answer came without a proof of optimality, so there is no number.

    Args:
        rule: what was asked of the proof, as the subject of a sentence.
        observed: what came instead.
        bound: what it had to be; a number is the most it may be.
        remedy: what to do.
    """

    def __init__(self, rule: str, observed: float | str, bound: float | str, remedy: str) -> None:
        shown = f"{observed:.3g}" if isinstance(observed, float) else observed
        limit = f"{bound:.3g} or less" if isinstance(bound, float) else bound
        super().__init__(f"exact solution refused: {rule} is {shown}, must be {limit}; {remedy}")


class ResultsInUseError(OtbenchError):
    """Another run holds the results folder."""

    def __init__(self, folder: object) -> None:
        super().__init__(
            f"results folder {folder} is in use by another run; wait for it, or name another with --results"
        )


class ResultsError(OtbenchError):
    """A results folder cannot be read as what it should be, or cannot be written."""
