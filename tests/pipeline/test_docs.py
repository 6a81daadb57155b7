"""The commands of the pages, run as they are typed, on the digits. `make test` runs some pages' that train nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from tests.support.pages import PAGES, ROOT, typed_lines
from tests.support.project import Project, finish_queue

pytestmark = pytest.mark.pipeline

LINES = {str(page.relative_to(ROOT)): typed_lines(page) for page in PAGES if typed_lines(page)}
TRAINS = re.compile(r"^(?:make demo|dvc repro [a-z]|dvc queue|(?:TINY_IMAGENET_ARCHIVE=\S+ )?dvc exp run)")
NEEDS_ONE = re.compile(r"@champion|sweep\.csv")  # what a command that trains leaves
NOT_RUN = {  # the start of a line, and where it is tested
    "make test": "this is a part of it",
    "make ui": "tests/tracking/test_servers.py: it serves until it is stopped",
    "make serve": "tests/tracking/test_registry.py: it serves until it is stopped",
    "dvc pull": "tests/test_release.py: the copy has no released models",
    "dvc push": "tests/test_release.py and test_s3_remote.py",
    "dvc remote": "test_s3_remote.py",
    "git rm -rq": "the copy has no released models",
    "git add --force release": "the copy has no released models",
    "git checkout --ours": "needs a merge with conflicts",
    "git commit -qam": "the copy has no released models",
    "export MLFLOW_TRACKING_URI=https": "needs a server with this name",
    "export MLFLOW_TRACKING_USERNAME": "needs a server with this name",
    "git add -A": "needs a merge with conflicts",
    "export TF_CONFIG": "tests/stages/test_train_workers.py",
    "PYTHONPATH=src python stages/train.py": "tests/stages/test_train_workers.py",
}
MAKE = 'make() { command make --assume-old=.venv/ready "$@"; }\n'  # the copy has no environment of its own


def not_run(line: str) -> bool:
    return line.startswith(tuple(NOT_RUN))


def test_each_exception_is_on_a_page() -> None:
    lines = [line for page in LINES.values() for line in page]
    assert not [start for start in NOT_RUN if not any(line.startswith(start) for line in lines)]
    assert sum(not not_run(line) for line in lines) > 35


@pytest.fixture
def typed_in(workspace: Project, dropout: object) -> Project:
    """The built digits with the files that the pages name, and an environment in `.venv`."""
    folder = workspace.folder
    rng = np.random.default_rng(0)
    names = ["photo.jpg", "another-cat.jpg", "holiday/beach.png"]
    names += [f"pictures/{name}/{index}.png" for name in ("cats", "dogs") for index in range(60)]
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(rng.integers(0, 256, (70, 80, 3), np.uint8)).save(path)
    (folder / ".venv/bin").mkdir(parents=True, exist_ok=True)
    (folder / ".venv/bin/activate").write_text(f"PATH={Path(sys.executable).parent}:$PATH\n", encoding="utf-8")
    for name in (".cache", ".checkpoints", ".demo"):
        (folder / name).mkdir(exist_ok=True)
    return workspace


def quick_lines(page: str) -> list[str]:
    return [line for line in LINES[page] if not (not_run(line) or TRAINS.search(line) or NEEDS_ONE.search(line))]


@pytest.mark.parametrize("page", ["README.md", "docs/experiments.md", "docs/own-dataset.md"])
def test_the_commands_of_a_page_run(typed_in: Project, page: str) -> None:
    type_lines(typed_in, quick_lines(page))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, lines in LINES.items() if not all(map(not_run, lines))])
def test_all_commands_of_a_page_run(typed_in: Project, page: str) -> None:
    type_lines(typed_in, [line for line in LINES[page] if not not_run(line)])


def type_lines(project: Project, lines: Sequence[str]) -> None:
    settings = ""  # of the shell, which stay for the page's next lines
    for line in lines:
        output = run(project, settings, line)
        if line.startswith(("export", "source")):
            settings += line
        if "tiny-imagenet pack" in line:
            add_dataset(project, output)
        if line.startswith("dvc queue start"):
            finish_queue(project)


def run(project: Project, settings: str, line: str) -> str:
    """Runs a line in the copy's root, which must succeed, and returns what it printed."""
    line = re.sub(r"\bEXPERIMENT\b", "dropout", line).replace("models:/tiny-imagenet-200@", "models:/digits@")
    if re.search(r"\bNAME\b", line):
        project.dvc("exp", "save", "--name", "a-bad-one")
        line = re.sub(r"\bNAME\b", "a-bad-one", line)
    if re.search(r"\bID\b", line):
        line = re.sub(r"\bID\b", useless_run(project), line)
    done = subprocess.run(
        ["bash", "-e", "-c", f"{MAKE}{settings}{line}"],
        cwd=project.folder,
        env=project.environment,
        input="y\n",  # `dvc gc` asks
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, f"{line}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def useless_run(project: Project) -> str:
    client = project.client()
    return str(client.create_run(client.search_experiments()[0].experiment_id).info.run_id)


def add_dataset(project: Project, printed: str) -> None:
    """Adds the lines that `pack` printed to params.yaml, as the page says."""
    found = re.search(r"^  mine:\n    sha256: \w+\n", printed, re.MULTILINE)
    assert found, printed
    params = project.folder / "params.yaml"
    text = params.read_text(encoding="utf-8")
    params.write_text(re.sub(r"^(datasets:.*\n)", rf"\1{found.group()}", text, flags=re.MULTILINE), encoding="utf-8")
