"""A whole process that imports TensorFlow and Keras, as a stage does or plainly. Arguments: "ours" or "plain"."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.serving import Figures, serve

SRC = Path(__file__).parents[1] / "src"
OURS = """
from tiny_imagenet.core.process import exit_with_one_line
with exit_with_one_line("import"):
    from tiny_imagenet.distribute import devices
"""
CODE = {"ours": OURS, "plain": "import keras, tensorflow"}


def main(name: str) -> None:
    def measure() -> Figures:
        began = time.perf_counter()
        environment = os.environ | {"PYTHONPATH": str(SRC)}
        subprocess.run([sys.executable, "-c", CODE[name]], env=environment, stderr=subprocess.DEVNULL, check=True)
        return {"seconds": time.perf_counter() - began}

    serve(measure)


if __name__ == "__main__":
    main(*sys.argv[1:])
