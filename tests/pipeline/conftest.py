"""The DAG, built once on the digits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.support.project import CHEAP, Project


@dataclass(frozen=True)
class Experiment:
    """The output of `dvc exp run`, and the paths that `git status` lists after it."""

    output: str
    changes: list[str]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Experiment]:
    """Runs the whole DAG by one `dvc exp run` in a fresh copy, and commits the results."""
    project = Project(tmp_path_factory.mktemp("pipeline") / "project")
    output = project.dvc("exp", "run", "-S", "epochs=1", "-S", "batch_size=100")
    experiment = Experiment(output, project.changes())
    project.commit("The digits")
    return project, experiment


@pytest.fixture(scope="session")
def project(built: tuple[Project, Experiment]) -> Project:
    """The built DAG; tests only read it."""
    return built[0]


@pytest.fixture
def workspace(project: Project) -> Iterator[Project]:
    """The built DAG for tests that change it; restored afterwards."""
    yield project
    project.restore()


@pytest.fixture(scope="session")
def dropout(project: Project) -> Experiment:
    """Runs the experiment `dropout`, which changes one number of one model, then restores the workspace."""
    output = project.dvc("exp", "run", "--name", "dropout", "-S", f"models.{CHEAP}.dropout=0.1")
    experiment = Experiment(output, project.changes())
    project.restore()
    return experiment
