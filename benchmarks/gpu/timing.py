"""The time of repeated calls."""

from __future__ import annotations

import time
from collections.abc import Callable

CALLS = 3  # of which the fastest counts


def fastest(action: Callable[[], object]) -> float:
    """Returns the seconds of the fastest of CALLS calls, after one that does not count."""
    action()
    seconds = []
    for _ in range(CALLS):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return min(seconds)
