"""The released models: release/ has the files that dvc.lock names for them, and no others."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
MAX_BYTES = 16_000_000


def released_outputs() -> dict[str, int]:
    """Returns digests and sizes of the outputs of the released models' stages."""
    artifacts = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["artifacts"]
    stages = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    outs = [
        out
        for artifact in artifacts.values()
        for stage in ("train", "evaluate")
        for out in stages[f"{stage}@{Path(artifact['path']).parent.name}"]["outs"]
        if not out["path"].startswith("reports/")  # in git
    ]
    return {out["md5"]: out["size"] for out in outs}


def kept_files() -> list[Path]:
    command = ["git", "ls-files", "-z", "release/files"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name]


def test_git_keeps_what_the_lock_names() -> None:
    files = {path.parent.name + path.name: path for path in kept_files()}
    assert {digest: path.stat().st_size for digest, path in files.items()} == released_outputs()
    for digest, path in files.items():
        assert hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == digest


def test_the_size_is_bounded() -> None:
    assert sum(path.stat().st_size for path in kept_files()) <= MAX_BYTES
