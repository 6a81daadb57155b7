"""Runs the pipeline on the embedded digits, in `.demo/`: a copy of the pipeline's code with the demo's parameters.

The copy needs no git and takes nothing else from the checkout. Its runs are logged to the checkout's MLflow store.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.process import exit_with_one_line

ROOT = Path(__file__).resolve().parents[1]
DVC_CONFIG = "[core]\n    analytics = false\n    check_update = false\n    no_scm = true\n"
STORE = "sqlite:///mlruns/mlflow.db"
RELATIVE = re.compile(r"^(sqlite(?:\+\w+)?:///)(?!file:)(?=[^/:?])")  # the start of a store with a relative path


def make_copy(root: Path, copy: Path) -> None:
    """Writes the pipeline's code and the demo's parameters to a new folder.

    Args:
        root: The checkout.
        copy: The folder; what was there before is deleted.

    Raises:
        InputError: It is a link.
    """
    if copy.is_symlink():
        raise InputError(copy, "is a link", "remove it: the demo deletes what its folder holds")
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
    """Runs `dvc repro` in the copy, without the caller's settings of git, and returns its exit status.

    A store that is relative to the checkout is so in the copy, too: what is in the copy is deleted by the next demo.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    # Not an absolute path, in which some characters would be special.
    environment["MLFLOW_TRACKING_URI"] = RELATIVE.sub(r"\1../", environment.get("MLFLOW_TRACKING_URI") or STORE)
    with tempfile.TemporaryDirectory() as folder:
        if "%" in sys.prefix:  # MLflow cannot migrate a database from there: the stages' python comes through a link
            link = Path(folder, "environment")
            link.symlink_to(sys.prefix)
            environment["PATH"] = os.pathsep.join([str(link / "bin"), environment["PATH"]])
        if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
            signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C also goes to dvc, which is to end first
        return subprocess.run(["dvc", "repro"], cwd=copy, env=environment, check=False).returncode


@contextmanager
def only_demo(root: Path) -> Iterator[None]:
    """Holds the lock of a checkout's demo.

    Raises:
        InputError: Another process holds it.
    """
    path = root / ".cache" / "demo.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(".demo", "another `make demo` runs there", "wait for its end") from None
        yield


def main() -> int:
    """Makes the copy, runs the pipeline there, and returns the exit status."""
    copy = ROOT / ".demo"
    with exit_with_one_line("demo"), only_demo(ROOT):
        make_copy(ROOT, copy)
        status = repro(copy)
    if status == 0:
        print("\nThe page: .demo/reports/index.html    The runs: make ui")
    return status


if __name__ == "__main__":
    sys.exit(main())
