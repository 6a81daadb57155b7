"""dvc.lock: what is recorded of a stage without running it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tiny_imagenet.cli.dvc_lock import record, stages_recorded_at, unrecorded_stages
from tiny_imagenet.cli.miniature import check_out_revision


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


def write_command(folder: Path, command: str, **entries: list[str]) -> None:
    stage = {"cmd": command, "outs": ["out"], **entries}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"fetch": stage}}))


def test_a_changed_command_is_recorded(checkout: Path) -> None:
    before = yaml.safe_load((checkout / "dvc.lock").read_text())
    assert record(checkout, ["fetch"]) == []
    write_command(checkout, "PATH=$PATH echo 1 > out")
    assert record(checkout, ["fetch"]) == ["fetch"]
    before["stages"]["fetch"]["cmd"] = "PATH=$PATH echo 1 > out"
    assert yaml.safe_load((checkout / "dvc.lock").read_text()) == before


INPUTS = {"deps": ["stages/fetch.py", "src/code"], "params": ["dataset", "preprocess.seed"]}


@pytest.fixture
def versioned(checkout: Path) -> Path:
    """That repository with code and parameters, reproduced and committed."""
    for name in ("stages/fetch.py", "src/code/a.py", "src/code/notes.md"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("# 1\n")
    (checkout / ".dvcignore").write_text("*.md\n")
    (checkout / "params.yaml").write_text("dataset: digits\npreprocess: {seed: 0}\n")
    write_command(checkout, "echo 1 > out", **INPUTS)
    subprocess.run(["dvc", "repro", "--quiet"], cwd=checkout, check=True)
    subprocess.run(["git", "init", "--quiet"], cwd=checkout, check=True)
    commit(checkout)
    return checkout


def commit(folder: Path) -> None:
    subprocess.run(["git", "add", "src", "stages", "params.yaml", "dvc.yaml", ".dvcignore"], cwd=folder, check=True)
    person = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *person, "commit", "--quiet", "-m", "Code"], cwd=folder, check=True)


def recorded_at(folder: Path, revision: str, checkout: Path) -> set[str]:
    check_out_revision(folder, revision, checkout)
    return stages_recorded_at(folder, checkout)


def test_the_code_of_a_revision_is_compared_with_the_lock(versioned: Path, tmp_path: Path) -> None:
    edits = [
        ("src/code/notes.md", "# 2\n", True),  # .dvcignore
        ("params.yaml", "dataset: digits\npreprocess: {seed: 0, workers: 2}\n", True),
        ("params.yaml", "dataset: digits\npreprocess: {seed: 1}\n", False),
        ("params.yaml", "dataset: digits\n", False),
        ("src/code/a.py", "# 2\n", False),
        ("src/code/b.py", "# 1\n", False),
        ("stages/fetch.py", "# 2\n", False),
    ]
    for number, (name, text, is_recorded) in enumerate(edits):
        (versioned / name).write_text(text)
        commit(versioned)
        (versioned / name).write_text("dataset: other\n")  # the working tree does not count
        assert recorded_at(versioned, "HEAD", tmp_path / f"{number}") == ({"fetch"} if is_recorded else set()), text
        assert recorded_at(versioned, "HEAD~1", tmp_path / f"{number} before") == {"fetch"}
        subprocess.run(["git", "reset", "--quiet", "--hard", "HEAD~1"], cwd=versioned, check=True)


def test_the_code_that_was_recorded_last_is_that_of_the_lock(versioned: Path, tmp_path: Path) -> None:
    (versioned / "src/code/a.py").write_text("# 2\n")
    commit(versioned)
    assert unrecorded_stages(versioned) == {"fetch": set()}
    assert record(versioned, ["fetch"]) == ["fetch"]
    assert unrecorded_stages(versioned) == {}
    assert recorded_at(versioned, "HEAD", tmp_path / "head") == {"fetch"}
    assert recorded_at(versioned, "HEAD~1", tmp_path / "before") == set()


def test_a_revision_that_names_other_inputs_is_not_that_of_the_lock(versioned: Path, tmp_path: Path) -> None:
    for number, inputs in enumerate((INPUTS | {"deps": ["src/code"]}, INPUTS | {"params": ["dataset"]})):
        write_command(versioned, "echo 1 > out", **inputs)
        commit(versioned)
        assert recorded_at(versioned, "HEAD", tmp_path / str(number)) == set()


def test_the_parameters_that_are_not_those_of_the_lock_are_named(versioned: Path) -> None:
    (versioned / "params.yaml").write_text("dataset: {name: digits}\npreprocess: {seed: 1}\n")
    assert unrecorded_stages(versioned) == {"fetch": {"dataset", "dataset.name", "preprocess.seed"}}


def test_a_stage_that_never_ran_is_recorded_at_no_revision(versioned: Path, tmp_path: Path) -> None:
    content = yaml.safe_load((versioned / "dvc.yaml").read_text())
    content["stages"]["more"] = {"cmd": "echo 1 > more", **INPUTS, "outs": ["more"]}
    content["stages"]["none"] = {"cmd": "echo 1 > none", "outs": ["none"]}
    (versioned / "dvc.yaml").write_text(yaml.safe_dump(content))
    commit(versioned)
    assert recorded_at(versioned, "HEAD", tmp_path / "head") == {"fetch"}
