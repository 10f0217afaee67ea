"""Seconds of work on a device: of a CPU by the clock, of a GPU by events among its work."""

import pytest
import torch
from hand_clock import HandClock

from otbench.methods.training.stopwatch import Stopwatch, now, wait, warm_up


def test_pieces_of_work_are_added_up_and_what_is_between_them_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, watch = HandClock(monkeypatch), Stopwatch("cpu")
    assert watch.seconds == 0.0
    for piece, pause in ((2.0, 100.0), (0.5, 1000.0)):
        with watch.running():
            clock.spend(piece)
        clock.spend(pause)
    assert watch.seconds == watch.seconds == 2.5
    assert now("cpu") == clock.now


def test_a_cpu_is_never_waited_for_and_has_nothing_to_warm_up() -> None:
    wait("cpu")
    warm_up("cpu")


@pytest.mark.gpu
def test_events_tell_what_the_device_takes_and_not_what_calls_take() -> None:
    """Products of many seconds' worth are handed over at once: a clock around the calls sees next to nothing."""
    warm_up("cuda")
    square, watch = torch.rand(4096, 4096, device="cuda"), Stopwatch("cuda")
    start = now("cuda")
    with watch.running():
        for _ in range(200):
            square = (square @ square).clamp_(max=1.0)
    assert watch.seconds == pytest.approx(now("cuda") - start, rel=0.2)
    before = watch.seconds
    torch.rand(4096, 4096, device="cuda") @ square
    assert watch.seconds == before, "what is not within counts for nothing"
