"""Stage train as it is, in a project of the benchmark, halted where there is something to measure."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]


class _Built(Exception):
    """Carries the trainer out of the stage."""


def enter(project: str) -> ModuleType:
    """Makes a project the working directory and returns its stage train."""
    os.environ.pop("DVC_ROOT", None)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    os.chdir(project)
    spec = importlib.util.spec_from_file_location("train_stage", ROOT / "stages" / "train.py")
    assert spec is not None
    assert spec.loader is not None
    stage = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stage)
    return stage


def trainer_of(project: str, model: str) -> Any:
    """Returns the trainer that the stage builds, images loaded, before anything is tracked or trained."""
    stage = enter(project)
    from tiny_imagenet.training import experiment

    build = experiment.build_trainer

    def build_and_leave(*args: Any, **kwargs: Any) -> None:
        raise _Built(build(*args, **kwargs))

    experiment.build_trainer = build_and_leave  # type: ignore[assignment]
    try:
        stage.main(model)
    except _Built as built:
        return built.args[0]
    raise AssertionError("stage train built no trainer")
