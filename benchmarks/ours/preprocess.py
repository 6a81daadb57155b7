"""Stage preprocess on a whole archive, as a command. Arguments: ARCHIVE PARAMS SCRATCH."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.serving import Figures, serve

STAGE = Path(__file__).parents[2] / "stages" / "preprocess.py"


def main(archive: str, params: str, scratch: str) -> None:
    def measure() -> Figures:
        project = Path(tempfile.mkdtemp(dir=scratch))
        (project / "data").mkdir()
        (project / "data" / "archive.zip").symlink_to(archive)
        shutil.copy(params, project / "params.yaml")
        began = time.perf_counter()
        subprocess.run([sys.executable, STAGE], cwd=project, stdout=subprocess.DEVNULL, check=True)
        took = time.perf_counter() - began
        manifest = json.loads((project / "data" / "records" / "manifest.json").read_text())
        shutil.rmtree(project)
        images = sum(split["num_images"] for split in manifest["splits"].values())
        return {"seconds": took, "images": images, "images_per_second": images / took}

    serve(measure)


if __name__ == "__main__":
    main(*sys.argv[1:])
