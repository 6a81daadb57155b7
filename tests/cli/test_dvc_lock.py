"""dvc.lock: what is recorded of a stage without running it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tiny_imagenet.cli.dvc_lock import record


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC repository with one stage, reproduced."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    folder = tmp_path / "checkout"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    write_command(folder, "echo 1 > out")
    subprocess.run(["dvc", "repro", "--quiet"], cwd=folder, check=True)
    monkeypatch.chdir(folder)  # DVC names stages relative to it
    return folder


def write_command(folder: Path, command: str) -> None:
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"fetch": {"cmd": command, "outs": ["out"]}}}))


def test_a_changed_command_is_recorded(checkout: Path) -> None:
    before = yaml.safe_load((checkout / "dvc.lock").read_text())
    assert record(checkout, ["fetch"]) == []
    write_command(checkout, "PATH=$PATH echo 1 > out")
    assert record(checkout, ["fetch"]) == ["fetch"]
    before["stages"]["fetch"]["cmd"] = "PATH=$PATH echo 1 > out"
    assert yaml.safe_load((checkout / "dvc.lock").read_text()) == before
