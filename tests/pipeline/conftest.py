"""The DAG, built once on the digits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.support.project import CHEAP, Project


@dataclass(frozen=True)
class Experiment:
    """What `dvc exp run` printed, and what it changed, as `git status` lists it."""

    output: str
    changes: list[str]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Experiment]:
    """The whole DAG, all models, by one `dvc exp run` in a fresh copy; the results are then committed."""
    project = Project(tmp_path_factory.mktemp("pipeline") / "project")
    output = project.dvc("exp", "run", "-S", "epochs=1", "-S", "batch_size=100")
    experiment = Experiment(output, project.changes())
    project.commit("The digits")
    return project, experiment


@pytest.fixture(scope="session")
def project(built: tuple[Project, Experiment]) -> Project:
    """The built DAG, to look at."""
    return built[0]


@pytest.fixture
def workspace(project: Project) -> Iterator[Project]:
    """The built DAG, to change: it is restored afterwards."""
    yield project
    project.restore()


@pytest.fixture(scope="session")
def dropout(project: Project) -> Experiment:
    """The experiment `dropout`, one number of one model changed, run in the workspace, which is then restored."""
    output = project.dvc("exp", "run", "--name", "dropout", "-S", f"models.{CHEAP}.dropout=0.1")
    experiment = Experiment(output, project.changes())
    project.restore()
    return experiment
