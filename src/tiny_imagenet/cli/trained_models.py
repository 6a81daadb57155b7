"""The trained models of a checkout: those in models/, and the released ones, which DVC can fetch."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.strict_yaml import check, load_json, nearest, read_yaml
from tiny_imagenet.dataset.model_info import ModelInfo, read_model_info

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

FILE = "model.keras"


class Scores(BaseModel):
    """What ranks a model in reports/metrics/MODEL.json; the other metrics are ignored."""

    top_1_accuracy: float
    debug: int = 0  # 1: of a debug run


class Artifact(BaseModel):
    """An artifact of dvc.yaml; its other keys are ignored."""

    path: str


@dataclass(frozen=True)
class TrainedModel:
    """A `.keras` file of this project, which has all that is needed to use it.

    Attributes:
        name: Its key in params.yaml.
        path: The file.
        info: Its classes, image size and kind of evaluation.
    """

    name: str
    path: Path
    info: ModelInfo

    def load(self) -> tuple[keras.Model, tf.distribute.Strategy]:
        """Loads the model on a single device, the GPU if there is one; imports TensorFlow, which takes seconds.

        Raises:
            InputError: The file cannot be loaded.
        """
        print(f"{self.name}: loading the model ...", file=sys.stderr, flush=True)

        from tiny_imagenet.distribute import devices  # before TensorFlow: it sets environment variables for it

        # isort: split
        from tiny_imagenet.evaluation.saved_models import load_model

        strategy = devices.make_strategy("auto", "single", alone=True)
        with strategy.scope():
            return load_model(self.path)[0], strategy


def add_root_argument(parser: argparse.ArgumentParser) -> None:
    """Adds the option `--root`."""
    text = "a checkout (after `make demo`: .demo); default: the current folder"
    parser.add_argument("--root", type=Path, default=Path(), metavar="FOLDER", help=text)


def find_model(root: Path, name: str | None) -> TrainedModel:
    """Finds a trained model of a checkout, which DVC fetches if it is a released one that is not there.

    Args:
        root: The checkout.
        name: A model of params.yaml, or the path of a `.keras` file. None: of the trained models, or else of the
            released ones, the one with the best top-1 accuracy, debug runs last.

    Raises:
        InputError: There is no such model, or its file cannot be read.
    """
    if name is not None and name.endswith(".keras"):
        info = read_model_info(Path(name))
        return TrainedModel(info.model, Path(name), info)
    paths = {path.parent.name: path for path in sorted(root.glob(f"models/*/{FILE}"))}
    released = {} if paths and (name is None or name in paths) else _released(root)
    known = paths or released
    if not known:
        raise InputError(root / "models", "holds no trained model", "run `dvc repro`, or name a checkout with --root")
    if name is not None and name not in paths | released:
        raise InputError(f"{root / 'models'}: {name}", "no such trained model", nearest(name, released | paths))
    best = name or max(known, key=lambda each: _rank(root, each))
    if best not in paths:
        _fetch(root, released[best])
    path = (paths | released)[best]
    return TrainedModel(best, path, read_model_info(path))


def _rank(root: Path, name: str) -> tuple[bool, float]:
    """Returns what models are ranked by; a debug run, then a model that is not evaluated, come after the others."""
    path = root / "reports" / "metrics" / f"{name}.json"
    if not path.exists():
        return False, -1.0
    scores = load_json(dict[str, Scores], path, "run `dvc repro`").get(name)
    if scores is None:
        raise InputError(path, f"{name}: is missing", "run `dvc repro`")
    return not scores.debug, scores.top_1_accuracy


def _released(root: Path) -> dict[str, Path]:
    """Returns the files of the models that dvc.yaml lists under `artifacts`."""
    if not (root / "dvc.yaml").exists():
        return {}
    listed = read_yaml(root / "dvc.yaml").get("artifacts") or {}
    artifacts = check(dict[str, Artifact], listed, f"{root / 'dvc.yaml'}: artifacts").values()
    return {Path(each.path).parent.name: root / each.path for each in artifacts}


def _fetch(root: Path, path: Path) -> None:
    """Pulls a released model's file from DVC's remote."""
    print(f"{path.parent.name}: fetching the released model with DVC ...", file=sys.stderr, flush=True)

    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            repo.pull([str(path)])
    except DvcException as error:
        raise InputError(path, f"cannot be fetched ({error})", "run `dvc repro`") from None
