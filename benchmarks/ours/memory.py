"""Peak memory of stage train with an epoch of a few steps. Arguments: PROJECT MODEL.

Includes loading, steps, validation, saving and MLflow.
"""

from __future__ import annotations

import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.ours._stage import enter
from benchmarks.serving import Figures, serve

STEPS = 30
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
STATUS = Path("/proc/self/status")


def main(project: str, model: str) -> None:
    def measure() -> Figures:
        stage = enter(project)
        from tiny_imagenet.distribute import devices  # noqa: F401
        from tiny_imagenet.training.loop import Trainer

        init, decoded = Trainer.__init__, {}

        def init_with_few_steps(self: Trainer, model: Any, strategy: Any, splits: Any, *rest: Any) -> None:
            init(self, model, strategy, splits, *rest)
            self.steps_per_epoch = STEPS
            decoded["bytes"] = sum(split.images.nbytes for split in splits)
            for split in splits:
                split.images.max()  # makes every mapped page resident, as a whole epoch does

        Trainer.__init__ = init_with_few_steps  # type: ignore[method-assign]
        anonymous = AnonymousMemory()
        stage.main(model)
        peak = peak_bytes()
        return {
            "peak_gb": peak / 1e9,
            "decoded_gb": decoded["bytes"] / 1e9,
            "more_gb": (peak - decoded["bytes"]) / 1e9,
            "anonymous_gb": anonymous.peak / 1e9,
        }

    serve(measure)


def peak_bytes() -> int:
    """Returns the peak of this process' resident memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


class AnonymousMemory:
    """Records the peak of this process' anonymous memory: without mapped files and libraries."""

    def __init__(self) -> None:
        self.peak = 0.0
        if STATUS.exists():
            threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            line = next(line for line in STATUS.read_text().splitlines() if line.startswith("RssAnon:"))
            self.peak = max(self.peak, int(line.split()[1]) * 1024)
            time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
