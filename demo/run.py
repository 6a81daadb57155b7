"""Runs the pipeline on the embedded digits, in `.demo/`: a copy of the pipeline's code with the demo's parameters.

The copy needs no git and takes nothing else from the checkout. Its runs are logged to the checkout's MLflow store.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DVC_CONFIG = "[core]\n    analytics = false\n    check_update = false\n    no_scm = true\n"
STORE = "sqlite:///../mlruns/mlflow.db"  # relative to the copy: some characters of a path are special in a URI


def make_copy(root: Path, copy: Path) -> None:
    """Writes the pipeline's code and the demo's parameters to a new folder.

    Args:
        root: The checkout.
        copy: The folder; what was there before is deleted.
    """
    if copy.exists():
        shutil.rmtree(copy)
    shutil.copytree(root / ".dvc" / "plots", copy / ".dvc" / "plots")
    (copy / ".dvc" / "config").write_text(DVC_CONFIG, encoding="utf-8")
    for name in ("stages", "src"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(root / name, copy / name)
    shutil.copy(root / "demo" / "params.yaml", copy / "params.yaml")


def repro(copy: Path) -> int:
    """Runs `dvc repro` in the copy, without the caller's settings of git, and returns its exit status."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment["MLFLOW_TRACKING_URI"] = environment.get("MLFLOW_TRACKING_URI") or STORE
    with tempfile.TemporaryDirectory() as folder:
        if "%" in sys.prefix:  # MLflow cannot migrate a database from there: the stages' python comes through a link
            link = Path(folder, "environment")
            link.symlink_to(sys.prefix)
            environment["PATH"] = os.pathsep.join([str(link / "bin"), environment["PATH"]])
        return subprocess.run(["dvc", "repro"], cwd=copy, env=environment, check=False).returncode


def main() -> int:
    """Makes the copy, runs the pipeline there, and returns the exit status."""
    copy = ROOT / ".demo"
    make_copy(ROOT, copy)
    status = repro(copy)
    if status == 0:
        print("\nThe page: .demo/reports/index.html    The runs: make ui")
    return status


if __name__ == "__main__":
    sys.exit(main())
