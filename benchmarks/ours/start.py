"""Time from the start of the process to the end of the first step of stage train. Arguments: PROJECT MODEL."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import psutil

from benchmarks.ours._stage import enter
from benchmarks.serving import say, serve


def main(project: str, model: str) -> None:
    def measure() -> None:
        stage = enter(project)
        began = time.time()
        from tiny_imagenet.distribute import devices  # noqa: F401 (imports TensorFlow as the stage does)

        imported = time.time() - began
        from tiny_imagenet.training.loop import Trainer

        run = Trainer.run

        def run_one_step(self: Trainer, metadata: Any, **callbacks: Any) -> Any:
            def on_steps(_count: int) -> None:
                total = time.time() - psutil.Process().create_time()
                say({"seconds": total - imported, "total_seconds": total, "tensorflow_import_seconds": imported})
                os._exit(0)  # without ending the run or saving a model

            return run(self, metadata, **{**callbacks, "on_steps": on_steps})

        Trainer.run = run_one_step  # type: ignore[method-assign]
        stage.main(model)

    serve(measure)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
