"""The process of a subject: it prepares once, then measures on each request.

Imports the standard library only: the pipeline is not installed in the peers' environment.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

MARK = "benchmark:"  # starts the lines of a subject; libraries may print others
SECONDS = 2.5  # duration of one measurement of a rate

Figures = dict[str, Any]


def serve(measure: Callable[[], Figures], **about: Any) -> None:
    """Sends the facts `about` the subject, then answers each line on stdin with the figures of `measure`."""
    say(about)
    for _ in sys.stdin:
        say(measure())


def say(figures: Figures) -> None:
    """Sends figures to the process that started this one."""
    print(f"\n{MARK}{json.dumps(figures)}", flush=True)


def rate(step: Callable[[], object], images: int, *, warm: float = 0.0, seconds: float = SECONDS) -> Figures:
    """Returns the images per second of `step`.

    Args:
        step: Called repeatedly.
        images: The images of one call.
        warm: Seconds of calls that do not count, to use up data prefetched while other subjects were measured.
        seconds: The duration of the measurement.
    """
    began = time.perf_counter()
    step()
    while time.perf_counter() - began < warm:
        step()
    count, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        step()
        count += 1
    return {"images_per_second": count * images / took}
