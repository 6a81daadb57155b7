"""The registered model: pictures in, the likeliest classes out, as `tiny-imagenet predict` answers.

MLflow runs this file to load the model ("models from code"), with a copy of this package beside the `.keras` file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException
from PIL import Image

from tiny_imagenet.cli.pictures import make_square, read_picture
from tiny_imagenet.cli.predict import top_classes
from tiny_imagenet.cli.trained_models import find_model
from tiny_imagenet.core.errors import InputError

KERAS_MODEL = "keras_model"  # the artifact that tracking/logged_models.py logs
BATCH_SIZES = (1, 32)  # that predictions are compiled for: of one picture, of several


class PictureClassifier(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
    """Answers each row of a table, `image` or `pixels`, with the five likeliest classes."""

    def load_context(self, context: Any) -> None:
        """Loads the `.keras` file among the artifacts."""
        trained = find_model(Path(), context.artifacts[KERAS_MODEL])
        self._info = trained.info
        model, strategy = trained.load()

        # isort: split
        from tiny_imagenet.scoring.predictor import make_predictor

        with strategy.scope():
            self._predictors: list[Callable[[np.ndarray], np.ndarray]] = [
                make_predictor(model, size, strategy, flip_tta=self._info.flip_tta) for size in BATCH_SIZES
            ]

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> list[dict[str, Any]]:
        """Returns `{"top": [{"wnid", "words", "probability"}, ...]}` for each row, best first.

        Args:
            context: Unused.
            model_input: In each row either `image`, the bytes of a picture file of any size and most formats, or
                `pixels`, numbers from 0 to 255 (height, width, 3). Pictures and arrays of another size than the
                model's are cropped to their central square and resized.
            params: Unused.

        Raises:
            MlflowException: A row has no picture that can be read.
        """
        from tiny_imagenet.evaluation.metrics import top_predictions

        rows = model_input.to_dict("records")
        images = np.stack([self._image(row, number) for number, row in enumerate(rows)])
        labels, probabilities = top_predictions(self._predictors[len(images) > 1](images))
        return [{"top": top_classes(self._info.classes, *each)} for each in zip(labels, probabilities, strict=True)]

    def _image(self, row: dict[str, Any], number: int) -> np.ndarray:
        """Returns float32 (image_size, image_size, 3)."""
        file, pixels = row.get("image"), row.get("pixels")
        try:
            if isinstance(file, bytes):
                return self._read(file).astype(np.float32)
            return self._as_image(np.asarray(pixels, np.float32))
        except InputError as error:
            what = error.args[1]
        except (TypeError, ValueError):
            what = "has neither the bytes of a file in `image` nor an array (height, width, 3) in `pixels`"
        raise MlflowException(f"row {number}: {what}", INVALID_PARAMETER_VALUE)

    def _read(self, content: bytes) -> np.ndarray:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            return read_picture(Path(file.name), self._info.image_size)

    def _as_image(self, pixels: np.ndarray) -> np.ndarray:
        size = self._info.image_size
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise ValueError(pixels.shape)
        if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 255):
            raise InputError("pixels", "has values that are not from 0 to 255", "scale them")
        if pixels.shape[:2] == (size, size):
            return pixels
        return np.asarray(make_square(Image.fromarray(pixels.round().astype(np.uint8)), size), np.float32)


mlflow.models.set_model(PictureClassifier())  # type: ignore[attr-defined]
