"""A subject's own side: it makes itself ready once, then measures each time it is asked.

Imports nothing but the standard library: the peers' environment has no pipeline in it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

MARK = "benchmark:"  # a library may print what it likes; lines that begin so are ours
SECONDS = 2.5  # that one measurement of a rate should last

Figures = dict[str, Any]


def serve(measure: Callable[[], Figures], **about: Any) -> None:
    """Says what the subject is `about`, then answers each line on stdin with what `measure` returns."""
    say(about)
    for _ in sys.stdin:
        say(measure())


def say(figures: Figures) -> None:
    """Sends figures to the process that started this one."""
    print(f"\n{MARK}{json.dumps(figures)}", flush=True)


def rate(step: Callable[[], object], images: int, *, warm: float = 0.0, seconds: float = SECONDS) -> Figures:
    """Returns the images a second of a `step` that takes `images` of them.

    Args:
        step: Called again and again, for `seconds`.
        images: In a step.
        warm: Seconds of calls that do not count, for what was made ahead while others were measured.
        seconds: How long to measure.
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
