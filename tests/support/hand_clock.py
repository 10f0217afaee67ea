"""A clock that stands still but for what moves it, so that seconds are told exactly and to the right account."""

import time
from collections.abc import Callable
from typing import Any

import pytest


class HandClock:
    """``time.perf_counter`` while a test runs: seconds pass only where they are spent."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now, self.patch = 1000.0, patch
        patch.setattr(time, "perf_counter", lambda: self.now)

    def spend(self, seconds: float) -> None:
        self.now += seconds

    def takes(self, owner: Any, name: str, seconds: float) -> None:
        """Every call of ``owner.name`` takes so many seconds."""
        real: Callable[..., Any] = getattr(owner, name)

        def slow(*arguments: Any, **named: Any) -> Any:
            self.spend(seconds)
            return real(*arguments, **named)

        self.patch.setattr(owner, name, slow)
