"""The predictions of a model: its five likeliest classes for each image."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tiny_imagenet.report.result_files import damaged, missing


@dataclass(frozen=True)
class Predictions:
    """Labels and guesses in the order of the records.

    Attributes:
        label: The true classes, int (images,).
        top_5: The likeliest classes, int (images, k), best first; k is 5, or the number of classes if that is less.
        top_5_probability: Their probabilities, float (images, k).
    """

    label: np.ndarray
    top_5: np.ndarray
    top_5_probability: np.ndarray

    @property
    def guess(self) -> np.ndarray:
        """The likeliest class of each image, int (images,)."""
        return self.top_5[:, 0]

    @property
    def is_correct(self) -> np.ndarray:
        """Whether the likeliest class is the true one, bool (images,)."""
        return np.asarray(self.guess == self.label)

    @property
    def is_in_top_5(self) -> np.ndarray:
        """Whether the true class is among the five likeliest, bool (images,)."""
        return np.asarray((self.top_5 == self.label[:, None]).any(axis=1))

    def has_labels_of(self, other: Predictions) -> bool:
        """Returns whether both have the same labels in the same order."""
        return np.array_equal(self.label, other.label)


def load_predictions(model: str, path: Path) -> Predictions:
    """Reads a model's predictions.npz.

    Raises:
        InputError: The file is missing or damaged.
    """
    if not path.is_file():
        raise missing(model, path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Predictions(**{key: arrays[key] for key in ("label", "top_5", "top_5_probability")})
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise damaged(model, path, f"cannot be read ({error})") from None
