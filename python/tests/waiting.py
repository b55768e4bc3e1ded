"""Waiting in tests."""

import time
from typing import Callable


PATIENCE = 300.0
"""Seconds that what is to come may take on a machine that is busy."""


def until(holds: Callable[[], object]) -> None:
    """Waits until something holds; fails when it does not come to."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.002)
