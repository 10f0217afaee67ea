"""The audit of critics of one's own: all that they prove of W1 of two samples, beside the exact W1."""

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from otbench.errors import InputError
from otbench.methods.claims import refuse_steeper
from otbench.methods.reading import Reader, Readings
from otbench.transport.alignment import alignment
from otbench.transport.bounds import CriticValues
from otbench.transport.exact import refuse_interval, solve_pair
from otbench.transport.point_ladder import ladder_of
from otbench.types import Bounds, ExactSolution, SamplePair


def audit(
    critic: Any, x: Any, y: Any, a: Any = None, b: Any = None, *, clip: float | None = None, lipschitz: Any = None
) -> Bounds:
    """All that a critic f proves of W1 of two samples, and how far that is from the exact W1.

    Args:
        critic: a torch.nn.Module, any function of a float64 numpy array (n, d), or a critic that otbench trained. A
            module is read from a copy in evaluation mode and in float64; one that computes in float32 inside is read
            in float32, and ``raw_error`` allows for that. f should be large on x and small on y, as in
            raw = mean f(x) - mean f(y); a warning and ``reading`` say where it
            is not. Modules and otbench's own critics have
            gradients, and hence ``alignment``.
        x: points (n, d), or images (n, c, h, w). Distances are those of flattened images; a module or function is
            handed the images themselves.
        y: points (m, d) or images, of the same shape.
        a: weights (n,) of x that sum to 1; uniform where they are None.
        b: weights (m,) of y, likewise.
        clip: the clip value that a module's parameters are held to; biases may lie beyond it. Where it is None, a
            module is taken to be clipped to its largest weight.
        lipschitz: what you vouch for where a module's constant is not found: a Lipschitz constant of the critic, or a
            mapping from types of modules inside it, or their names, to theirs. Convolutions, pooling, activations,
            normalisation in evaluation mode, residual sums and many more are known
            (``otbench.methods.lipschitz.everywhere``); ``unknown`` names what is not.

    Returns:
        Bounds in the data's unit, with 0 <= clip_bound <= spectral <= slope <= c_transform <= primal wherever raw > 0.

    Raises:
        InputError: malformed samples; a critic that raises, whose values are not one finite number per point, or
            depend on chance or on the other points of a batch (``otbench.methods.functions.check_company``); or a
            false ``clip`` or ``lipschitz``.
        UncertifiedError: the exact W1 could not be proved.

    Source: Villani 2009, Thm 5.10 (weak duality); Arjovsky, Chintala, Bottou 2017 (weight clipping).
    """
    reader = Reader(x, y, a, b)
    (bounds,) = ladders(reader.pair, solved(reader.pair), [reader.read(critic, clip, lipschitz)], "cpu")
    judge(bounds, lipschitz)
    return bounds


def audit_many(
    critics: Sequence[Any],
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    clip: float | None = None,
    lipschitz: Any = None,
    device: str = "cpu",
) -> list[Bounds]:
    """What ``otbench.audit`` says of each of several critics on the same two samples, whose W1 is solved once.

    On a CPU each answer is that of ``audit``, to the last bit. A GPU reads the ladders of all critics at once, in
    float64, and rounds sums in another order.

    Args:
        critics: a list of what ``audit`` takes.
        x: points (n, d), or images (n, c, h, w).
        y: points (m, d) or images, of the same shape.
        a: weights (n,) of x that sum to 1; uniform where they are None.
        b: weights (m,) of y, likewise.
        clip: as for ``audit``, of all critics.
        lipschitz: as for ``audit``, of all critics.
        device: "cpu", "cuda" or "cuda:N", where ladders are read; modules are evaluated where they are. Samples whose
            distances are too many to be stored are read on the CPU.

    Returns:
        The ``Bounds`` of the critics in their order.

    Raises:
        InputError: as ``audit``, with the number of the critic; or a device that is not there.
        UncertifiedError: the exact W1 could not be proved.

    Source: that of ``audit``.
    """
    if not isinstance(critics, Sequence) or isinstance(critics, str):
        raise InputError(f"audit_many takes a list of critics; got {type(critics).__name__}: audit takes one")
    if str(device) != "cpu":
        from otbench.methods.training.device import check_device  # loads torch, which other critics do without

        device = check_device(device)
    reader, read = Reader(x, y, a, b), []
    for k, critic in enumerate(critics):
        with named(f"critic {k}"):
            read.append(reader.read(critic, clip, lipschitz))
    found = ladders(reader.pair, solved(reader.pair), read, str(device)) if read else []
    for k, bounds in enumerate(found):
        with named(f"critic {k}"):
            judge(bounds, lipschitz, f" (critic {k})")
    return found


def solved(pair: SamplePair) -> ExactSolution:
    """The exact solution of two samples; UncertifiedError where the solver gave up."""
    exact = solve_pair(pair)
    refuse_interval(exact)
    return exact


def ladders(pair: SamplePair, exact: ExactSolution, read: Sequence[Readings], device: str) -> list[Bounds]:
    """The bounds of critics from their readings at the points of ``pair``, whose exact solution is given."""
    critics = [
        CriticValues(
            each.fx,
            each.fy,
            *each.constants,
            primal=exact.w1,
            alignment=None if each.gx is None or each.gy is None else alignment(pair, exact.plan, each.gx, each.gy),
            saturation=getattr(each.critic, "saturation", None),
        )
        for each in read
    ]
    found = ladder_of(pair.x, pair.y, pair.a, pair.b, device).bounds_of(critics)
    errors = [each.rounding * max(np.abs(each.fx).max(), np.abs(each.fy).max()) for each in read]
    return [
        dataclasses.replace(bounds, raw_error=max(bounds.raw_error, float(error)), unknown=each.unknown)
        for bounds, error, each in zip(found, errors, read, strict=True)
    ]


def judge(bounds: Bounds, lipschitz: Any, which: str = "") -> None:
    """Refuse a claimed constant that the samples refute, and say where a critic has the wrong sign."""
    if lipschitz is not None and bounds.spectral_constant is not None:
        refuse_steeper(bounds.spectral_constant, bounds.slope_constant)
    if bounds.raw < -bounds.raw_error:
        warnings.warn(f"otbench.audit: {bounds.reading}{which}", stacklevel=3)


@contextmanager
def named(which: str) -> Iterator[None]:
    """Say of which of several critics, or of what points, something is refused."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{which}: {error}") from error
