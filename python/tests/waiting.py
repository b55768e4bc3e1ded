"""Waiting in tests."""

import time
from typing import Callable


def until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits until something holds; fails when it does not come to."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.002)
