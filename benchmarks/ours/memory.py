"""The peak memory of stage train, its epoch cut to a few steps: loading, steps, val, saving, MLflow. PROJECT MODEL."""

from __future__ import annotations

import resource
import sys
from typing import Any

from benchmarks.ours._stage import enter
from benchmarks.serving import Figures, serve

STEPS = 30
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def main(project: str, model: str) -> None:
    def measure() -> Figures:
        stage = enter(project)
        from tiny_imagenet import devices  # noqa: F401
        from tiny_imagenet.training import Trainer

        begin, decoded = Trainer.__init__, {}

        def begin_short(self: Trainer, *args: Any, **kwargs: Any) -> None:
            begin(self, *args, **kwargs)
            self.steps_per_epoch = STEPS
            decoded["bytes"] = sum(images.images.nbytes for images in args[2:4])

        Trainer.__init__ = begin_short  # type: ignore[method-assign]
        stage.main(model)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
        return {"peak_gb": peak / 1e9, "decoded_gb": decoded["bytes"] / 1e9, "more_gb": (peak - decoded["bytes"]) / 1e9}

    serve(measure)


if __name__ == "__main__":
    main(*sys.argv[1:])
