"""The model of a run in MLflow: a pyfunc that takes pictures, with its parameters, metrics and description."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from mlflow.entities import LoggedModel
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType, Array, Object, Property
from PIL import Image

from tiny_imagenet.core.errors import first_line
from tiny_imagenet.tracking.store import connect, store_path, store_uri
from tiny_imagenet.tracking.trained_runs import find_run

PACKAGE = Path(__file__).parents[1]
PROGRAM = PACKAGE / "cli" / "served_model.py"  # which MLflow runs to load the model
KERAS_MODEL = "keras_model"  # its artifact: the .keras file
REQUIREMENTS = (
    "keras",
    "mlflow",
    "numpy",
    "pandas",
    "pillow",
    "pydantic",
    "ruamel.yaml",
)  # beside TensorFlow: what PROGRAM imports
DESCRIPTION = "mlflow.note.content"  # tag that the UI shows as description
EXAMPLE_SIZE = 64
ANSWER = Object(
    [
        Property("wnid", DataType.string),
        Property("words", DataType.string),
        Property("probability", DataType.double),
    ]
)


def signature() -> ModelSignature:
    """Returns the signature: a file's bytes in `image`, or an array in `pixels`; to the likeliest classes in `top`."""
    inputs = [ColSpec(DataType.binary, "image", required=False), ColSpec(AnyType(), "pixels", required=False)]
    return ModelSignature(Schema(inputs), Schema([ColSpec(Array(ANSWER), "top")]))


def log_keras_file(
    run_id: str, name: str, path: Path, description: str, params: Mapping[str, object], step: int
) -> None:
    """Logs a `.keras` file to a run as a model that answers pictures with classes.

    The model holds a copy of this package, so that it loads without the checkout; and an input example, which is
    synthetic: the license of a dataset may not allow its images in a model's files.

    Args:
        run_id: The run, which must be running.
        name: The model's name.
        path: The file.
        description: Markdown.
        params: The parameters of the training.
        step: The last epoch, whose metrics become the model's.
    """
    import tensorflow

    with mlflow.start_run(run_id=run_id, log_system_metrics=False):
        Model.log(
            None,
            flavor=SimpleNamespace(__name__="mlflow.pyfunc", save_model=_save_pyfunc),
            name=name,
            python_model=str(PROGRAM),
            artifacts={KERAS_MODEL: str(path)},
            code_paths=[str(PACKAGE)],
            signature=signature(),
            input_example=pd.DataFrame({"image": [_example()]}),
            pip_requirements=[f"tensorflow=={tensorflow.__version__}", *(f"{n}=={version(n)}" for n in REQUIREMENTS)],
            params=dict(params),
            tags={DESCRIPTION: description},
            step=step,
            validate_serving_input=False,  # it would load the model
        )


def _save_pyfunc(path: str, validate_serving_input: bool, **arguments: Any) -> None:
    """Calls `mlflow.pyfunc.save_model`, which does not take the argument that `Model.log` reads."""
    mlflow.pyfunc.save_model(path=path, **arguments)


def find_logged_model(client: MlflowClient, experiment_id: str, run_id: str) -> LoggedModel | None:
    """Returns the newest model that was logged to a run in full."""
    found = client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")
    complete = [each for each in found if each.status == "READY"]
    return max(complete, key=lambda each: each.creation_timestamp, default=None)


def describe_models(root: Path, experiment: str, cards: Mapping[str, str]) -> None:
    """Makes model cards the descriptions of logged models; a failure is a warning, a missing store or run is not.

    Args:
        root: The main checkout.
        experiment: The name of the dataset.
        cards: Markdown, by the SHA-256 of the model's file.
    """
    database = store_path(store_uri(root.resolve()))
    if database and not database.is_file():
        return
    try:
        client, experiment_id = connect(root.resolve(), experiment)
        for model_sha256, card in cards.items():
            if not model_sha256:  # of a version that did not write it
                continue
            run = find_run(client, experiment_id, model_sha256)
            model = find_logged_model(client, experiment_id, run.run_id) if run else None
            if model:
                client.set_logged_model_tags(model.model_id, {DESCRIPTION: card})
    except Exception as error:  # the cards are made anew by each report: no error of the store may end the stage
        print(f"warning: tracking: the model cards were not logged ({first_line(error)})", file=sys.stderr)


def _example() -> bytes:
    """Returns a PNG: red increases to the right, green downwards."""
    ramp = np.linspace(0, 255, EXAMPLE_SIZE).round().astype(np.uint8)
    red, green = np.meshgrid(ramp, ramp)
    file = io.BytesIO()
    Image.fromarray(np.stack([red, green, np.full_like(red, 128)], axis=-1)).save(file, "PNG")
    return file.getvalue()
