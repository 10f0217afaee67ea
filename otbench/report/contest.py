"""Critics of one's own among those of the literature, all read on the same points: one table and one picture."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from otbench.confidence import LEVEL
from otbench.errors import InputError
from otbench.inputs import as_whole, plain
from otbench.methods import Method
from otbench.methods.audit import judge, ladders, named, solved
from otbench.methods.certify import Certified, certify
from otbench.methods.literature import RATES, literature, read_fitted, trained
from otbench.methods.reading import Reader
from otbench.types import Bounds, ExactSolution, SamplePair

#: What is told of a critic: of the samples, of the laws, and of the direction of its gradient.
SCORES = ("samples", "laws", "direction")

#: The columns of the scores.
COLUMNS = [f"{name}{end}" for name in SCORES for end in ("", "_low", "_high")]

#: The level of either end of a two-sided interval of ``LEVEL``.
EITHER_END = (1 + LEVEL) / 2


@dataclass(frozen=True, eq=False)
class Contest:
    """Where critics of one's own stand among those of the literature.

    ``table`` has a line per critic, the best of the laws first: ``critic``, ``own`` (whether it is one of yours) and
    three scores, each with its ends ``_low`` and ``_high``. ``samples`` is the share of W1 of the samples that it
    proves, by its largest slope between them. ``laws`` is raw on the held-out points over a Lipschitz constant that
    holds everywhere, as a share of ``laws_w1``: an unbiased estimate of a lower bound, empty where no constant is
    known. ``direction`` is the cosine of its gradients with the moves of the exact plan of the samples, empty where it
    has no gradients. ``rate`` is the learning rate that was chosen, ``diverged`` the share of seeds without a
    function, and ``seconds`` the median training time of one critic on this machine.

    A score of a critic of yours is that of the one critic. Of the others it is the median over training seeds, 0 for
    those that diverged, and its ends are the least and the largest. The ends of ``laws`` lie farther out by the 95 %
    interval of the held-out means.

    ``w1`` is the exact W1 of the samples, in the data's unit. ``laws_w1`` is W1 of the laws where ``is_of_laws`` is
    true; else that of the held-out points, whose mean is at least W1 of the laws. ``about`` says how the others were
    trained, and ``unknown`` has, by the names of your critics, why one has no constant.
    """

    table: pd.DataFrame
    w1: float
    laws_w1: float
    is_of_laws: bool
    about: str
    unknown: dict[str, str]

    def __str__(self) -> str:
        """The table, and what its shares are of, on lines of their own."""
        shown = pd.DataFrame({"": np.where(self.table["own"], ">", ""), "critic": self.table["critic"]})
        for name in SCORES:
            ends = self.table[[name, f"{name}_low", f"{name}_high"]].itertuples(index=False)
            shown[name] = [_in_words(*each) for each in ends]
        shown["seconds"] = [f"{seconds:.2g}" if seconds > 0 else "" for seconds in self.table["seconds"]]
        if (self.table["diverged"] > 0).any():
            shown["diverged"] = [f"{share:.0%}" if share > 0 else "" for share in self.table["diverged"]]
        held_out = "the laws" if self.is_of_laws else "the held-out points"
        lines = [
            shown.to_string(index=False),
            f"shares of W1: of the samples {self.w1:.6g}, of {held_out} {self.laws_w1:.6g}. {self.about}",
            *(f"{name}: no constant is known everywhere: {why}" for name, why in self.unknown.items()),
        ]
        return "\n".join(lines)

    def draw(self, file: str | Path) -> list[Path]:
        """Write the picture of the table as SVG and as PNG beside each other, and return both files.

        Raises:
            InputError: a file with another ending than these two.
        """
        from otbench.report.figures.standing import draw_standing  # matplotlib loads here

        stem = Path(file)
        if stem.suffix not in ("", ".svg", ".png"):
            raise InputError(f"draw writes SVG and PNG, as to mine.svg and mine.png; got {stem.name}")
        return draw_standing(self.table, self.is_of_laws, self.about, stem)


def contest(
    critics: Any,
    x: Any,
    y: Any,
    fresh_x: Any,
    fresh_y: Any,
    *,
    population_w1: float | None = None,
    lipschitz: Any = None,
    steps: int = 1500,
    widths: Sequence[int] = (64, 64),
    batch: int = 64,
    seeds: int = 3,
    device: str = "cpu",
) -> Contest:
    """Put critics of your own beside those of the literature on your data, each with what it proves and costs.

    The others are orthonormal layers, spectral normalisation, a one-sided gradient penalty, weight clipping at c = 0.1
    and a c-transform of the minibatch, trained on x and y by equal networks, steps and batches, and sliced W1, the best
    linear critic and the exact potential of the samples, which need no training. A rate is chosen among three by the
    share of W1 of the samples that is proved, on a seed of its own; they suit coordinates of the order of 1. Images are
    flattened for all of these.

    Args:
        critics: a critic as ``otbench.audit`` takes it, or a mapping from names to several.
        x: points (n, d), or images (n, c, h, w), to which the critics were fitted.
        y: points (m, d) or images of the other law, where your critics are small.
        fresh_x: at least 2 independent points or images of the law of x, to which no critic was fitted.
        fresh_y: at least 2 of the law of y, likewise.
        population_w1: W1 of the two laws in the data's unit, where it is known; it saves an exact solve.
        lipschitz: what you vouch for, as for ``otbench.audit``, of all critics of yours.
        steps: training steps of the others.
        widths: hidden widths of the others.
        batch: points of either sample that one step of the others sees.
        seeds: how many training seeds the others have.
        device: "cpu", "cuda" or "cuda:N", where the others are trained.

    Returns:
        A ``Contest``: print it for the table, ``draw`` it for the picture.

    Raises:
        InputError: as ``otbench.audit`` and ``otbench.certify``; points of different shapes; a W1 of 0, of which
            nothing is a share; a setting out of range.
        UncertifiedError: the exact W1 could not be proved.

    Source: Villani 2009, Thm 5.10 and Remark 6.5 (duality); the recipes' own.
    """
    own = dict(critics) if isinstance(critics, Mapping) else {"yours": critics}
    if not own:
        raise InputError("contest takes a critic, or a mapping from names to critics; got an empty mapping")
    seeds, recipes = as_whole("seeds", seeds, 1), literature(steps, widths, batch)
    reader = Reader(x, y, None, None)
    with named("held-out points"):
        fresh = Reader(fresh_x, fresh_y, None, None)
    if reader.shape != fresh.shape:
        raise InputError(f"held-out points must have the shape of the others, {reader.shape}; got {fresh.shape}")
    readings, certificates = {}, {}
    for name, critic in own.items():  # before anything is trained
        with named(str(name)):
            readings[name] = reader.read(critic, None, lipschitz)
            certificates[name] = certify(critic, fresh_x, fresh_y, lipschitz=lipschitz, level=EITHER_END)
    exact = _apart(reader.pair, "the two samples")
    laws_w1 = _apart(fresh.pair, "the held-out points").w1 if population_w1 is None else _known(population_w1)
    lines = []
    for name, bounds in zip(own, ladders(reader.pair, exact, list(readings.values()), "cpu"), strict=True):
        with named(str(name)):
            judge(bounds, lipschitz, f" ({name})")
        lines.append(_line(str(name), [(bounds, certificates[name])], exact.w1, laws_w1) | {"own": True})
    vectors = Reader(reader.pair.x, reader.pair.y, None, None)
    for name, options in recipes.items():
        lines.append(_of_literature(name, options, vectors, fresh.pair, (exact, laws_w1), seeds, device))
    unknown = {
        str(name): each.unknown or "a function tells none: pass lipschitz, or hand in a torch module"
        for name, each in certificates.items()
        if each.constant is None
    }
    about = _about(reader.pair, fresh.pair, recipes["orthonormal"][0], seeds)
    return Contest(_ranked(lines), exact.w1, laws_w1, population_w1 is not None, about, unknown)


def _apart(pair: SamplePair, which: str) -> ExactSolution:
    """The exact solution of two sets of points whose W1 is not 0."""
    exact = solved(pair)
    if exact.w1 == 0:
        raise InputError(f"W1 of {which} is 0, of which nothing is a share: hand in points of two different laws")
    return exact


def _known(population_w1: Any) -> float:
    """A known W1 of the laws, above 0 and finite."""
    known = plain(population_w1)
    if isinstance(known, bool) or not isinstance(known, int | float) or not 0 < known < math.inf:
        raise InputError(f"population_w1 must be a finite number above 0, or None; got {population_w1!r}")
    return float(known)


def _of_literature(
    name: str, options: Sequence[Method], reader: Reader, fresh: SamplePair, truth: tuple[ExactSolution, float],
    seeds: int, device: str,
) -> dict[str, Any]:  # fmt: skip
    """The line of a critic of the literature, trained at its best rate."""
    exact, laws_w1 = truth
    recipe, fitted = trained(options, reader, exact, seeds, str(device))
    told = [
        None if bounds is None else (bounds, certify(fit, fresh.x, fresh.y, level=EITHER_END))
        for bounds, fit in zip(read_fitted(fitted, reader, exact), fitted, strict=True)
    ]
    line = _line(name, told, exact.w1, laws_w1)
    line["rate"] = getattr(recipe, "lr", None)
    line["seconds"] = float(np.median([fit.seconds for fit in fitted]))
    return line


def _line(name: str, told: Sequence[tuple[Bounds, Certified] | None], w1: float, laws_w1: float) -> dict[str, Any]:
    """The line of a critic of what it says on each seed, None where it has diverged."""
    scores = pd.DataFrame([_scores(*each, w1, laws_w1) if each else dict.fromkeys(COLUMNS, 0.0) for each in told])
    line: dict[str, Any] = {"critic": name, "own": False}
    for score in SCORES:
        line[score] = scores[score].median(skipna=False)
        line[f"{score}_low"] = scores[f"{score}_low"].min(skipna=False)
        line[f"{score}_high"] = scores[f"{score}_high"].max(skipna=False)
    return line | {"rate": None, "diverged": sum(each is None for each in told) / len(told), "seconds": None}


def _scores(bounds: Bounds, certificate: Certified, w1: float, laws_w1: float) -> dict[str, float | None]:
    """What one critic says, with the ends of its intervals."""
    samples, direction = bounds.slope / w1, bounds.plan_cosine
    laws = low = high = None
    if certificate.estimate is not None and certificate.lower is not None:
        laws, low = certificate.estimate / laws_w1, certificate.lower / laws_w1
        high = 2 * laws - low
    return dict(zip(COLUMNS, [samples] * 3 + [laws, low, high] + [direction] * 3, strict=True))


def _ranked(lines: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The lines as a table, the best of the laws first, those without a constant last."""
    table = pd.DataFrame(lines).astype(dict.fromkeys([*COLUMNS, "rate", "diverged", "seconds"], "float64"))
    return table.sort_values(["laws", "samples"], ascending=False, kind="stable", ignore_index=True)


def _about(pair: SamplePair, fresh: SamplePair, network: Method, seeds: int) -> str:
    """What the critics were fitted to and read on, and how those of the literature were trained."""
    fields = network.model_dump()
    scores = f"the scores are medians of {seeds} seeds" if seeds > 1 else "the scores are those of one seed"
    layers = ", ".join(str(width) for width in fields["widths"])
    return (
        f"n = {len(pair.x)} and {len(pair.y)}, d = {pair.dim}, {len(fresh.x)} and {len(fresh.y)} points held out. "
        f"Networks of the literature have hidden layers of {layers}, {fields['steps']} steps and the best of "
        f"{len(RATES)} rates on a seed of its own; {scores}."
    )


def _in_words(value: float, low: float, high: float) -> str:
    """A score with its ends, none where there is none."""
    if np.isnan(value):
        return ""
    told, *ends = (f"{round(number, 2) + 0.0:.2f}" for number in (value, low, high))  # 0 has no sign
    return told if low == high else f"{told} [{', '.join(ends)}]"
