"""The peak memory of stage train, its epoch cut to a few steps: loading, steps, val, saving, MLflow. PROJECT MODEL."""

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

        begin, decoded = Trainer.__init__, {}

        def begin_short(self: Trainer, *args: Any, **kwargs: Any) -> None:
            begin(self, *args, **kwargs)
            self.steps_per_epoch = STEPS
            decoded["bytes"] = sum(images.images.nbytes for images in args[2:4])
            for images in args[2:4]:
                images.images.max()  # an epoch reads them all: whatever is mapped is now resident

        Trainer.__init__ = begin_short  # type: ignore[method-assign]
        own = Anonymous()
        stage.main(model)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
        return {
            "peak_gb": peak / 1e9,
            "decoded_gb": decoded["bytes"] / 1e9,
            "more_gb": (peak - decoded["bytes"]) / 1e9,
            "anonymous_gb": own.peak / 1e9,
        }

    serve(measure)


class Anonymous:
    """Watches this process' anonymous memory: what is neither a mapped file's nor a library's."""

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
