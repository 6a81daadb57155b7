"""The unchanged stage train, in a project of the benchmark, interrupted at the point of the measurement."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]


class _Built(Exception):
    """Ends the stage as soon as the trainer is built, and carries it."""


def enter(project: str) -> ModuleType:
    """Changes to the folder of a project and returns the module of stage train."""
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
    """Returns the trainer that the stage builds, before it tracks or trains anything."""
    stage = enter(project)
    from tiny_imagenet.training import experiment

    build = experiment.build_trainer

    def build_and_raise(*args: Any, **kwargs: Any) -> None:
        raise _Built(build(*args, **kwargs))

    experiment.build_trainer = build_and_raise  # type: ignore[assignment]
    try:
        stage.main(model)
    except _Built as built:
        return built.args[0]
    raise AssertionError("stage train built no trainer")
