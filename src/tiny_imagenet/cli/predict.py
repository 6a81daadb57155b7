"""The command `tiny-imagenet predict`: a trained model's predictions for any pictures."""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tiny_imagenet.cli.picture_files import Listing, find_pictures, left_out
from tiny_imagenet.cli.pictures import read_picture
from tiny_imagenet.cli.trained_models import TrainedModel, add_root_argument, find_model
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.classes import Class, short_names
from tiny_imagenet.dataset.text import printable

HELP = "print the five classes that a trained model finds likeliest for each picture"
EPILOG = (
    "Pictures may have any size and most formats. Each is turned upright, cropped to its central square and resized."
)
BATCH_SIZE = 100


@dataclass
class Summary:
    """Counts of pictures, and seconds of work; importing TensorFlow and loading the model are not counted."""

    predicted: int = 0
    unreadable: int = 0
    read_seconds: float = 0.0
    model_seconds: float = 0.0

    def report(self, error: InputError) -> None:
        """Prints a picture's error on stderr and counts it."""
        self.unreadable += 1
        print(f"error: predict: {error}", file=sys.stderr)

    def __str__(self) -> str:
        """Returns the speed in a line."""
        speed = self.predicted / (self.read_seconds + self.model_seconds)
        parts = f"reading {self.read_seconds:.2f} s, model {self.model_seconds:.2f} s"
        noun = "picture" if self.predicted == 1 else "pictures"
        return f"{self.predicted:,} {noun}, {speed:,.0f} a second ({parts})"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    text = "a picture, a folder of pictures, or - to read their names from standard input, one a line"
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help=text)
    parser.add_argument(
        "--model", help="its name in params.yaml, or a .keras file; default: the one with the best accuracy"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture, each on a line")
    add_root_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints the predictions for the pictures.

    Returns:
        The exit status: 2 if a picture could not be read, although the others were predicted.
    """
    model, summary = find_model(arguments.root, arguments.model), Summary()
    first, *others = arguments.pictures
    more = f" and {len(others):,} more" if others else ""
    print(f"{model.name}: predicting {first}{more} with {model.path} ...", file=sys.stderr, flush=True)
    paths = _find_all(arguments.pictures, summary)
    show = _json_line if arguments.json else _table
    for path, labels, probabilities in _predict(model, paths, summary):
        print(show(model, path, labels, probabilities), flush=True)
    if summary.predicted:
        print(f"{model.name}: {summary}", file=sys.stderr)
    return InputError.exit_status if summary.unreadable else 0


def _find_all(names: Sequence[str], summary: Summary) -> list[Path]:
    """Returns the pictures that the arguments name."""
    paths: list[Path] = []
    for name in names:
        # Not splitlines(): a file's name may hold U+2028, or any character but a line feed.
        for line in re.split(r"\r?\n", os.fsdecode(sys.stdin.buffer.read())) if name == "-" else [name]:
            try:
                found = find_pictures(Path(line)) if line else Listing([], [])
            except InputError as error:
                summary.report(error)
                continue
            paths += found.pictures
            for note in left_out(Path(line), found.others):
                print(f"note: {printable(note)}", file=sys.stderr)
    return paths


def _predict(
    model: TrainedModel, paths: Sequence[Path], summary: Summary
) -> Iterator[tuple[Path, np.ndarray, np.ndarray]]:
    """Yields each readable picture with its likeliest classes and their probabilities, both (k,), best first."""
    predict, size = None, model.info.image_size
    with ThreadPoolExecutor() as threads:
        for start in range(0, len(paths), BATCH_SIZE):
            started = time.monotonic()
            batch = list(threads.map(functools.partial(_read, size=size), paths[start : start + BATCH_SIZE]))
            summary.read_seconds += time.monotonic() - started
            for item in batch:
                if isinstance(item, InputError):
                    summary.report(item)
            readable = [item for item in batch if not isinstance(item, InputError)]
            if not readable:
                continue
            predict = predict or _load_predictor(model, min(BATCH_SIZE, len(paths)))
            started = time.monotonic()
            labels, probabilities = predict(np.stack([image for _, image in readable]))
            summary.model_seconds += time.monotonic() - started
            summary.predicted += len(readable)
            yield from zip((path for path, _ in readable), labels, probabilities, strict=True)


def _read(path: Path, size: int) -> tuple[Path, np.ndarray] | InputError:
    try:
        return path, read_picture(path, size)
    except InputError as error:
        return error


def _load_predictor(model: TrainedModel, batch_size: int) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Returns a function from images to their likeliest classes and probabilities, compiled by a first call."""
    loaded, strategy = model.load()

    # isort: split
    from tiny_imagenet.evaluation.metrics import top_predictions
    from tiny_imagenet.scoring.predictor import make_predictor

    with strategy.scope():
        predict = make_predictor(loaded, batch_size, strategy, flip_tta=model.info.flip_tta)
    predict(np.zeros((1, model.info.image_size, model.info.image_size, 3), np.uint8))
    return lambda images: top_predictions(predict(images))


def _table(model: TrainedModel, path: Path, labels: np.ndarray, probabilities: np.ndarray) -> str:
    names = short_names(model.info.classes)
    rows = [f"{probability:8.1%}  {names[label]}" for label, probability in zip(labels, probabilities, strict=True)]
    return "\n".join([printable(str(path)), *rows])


def _json_line(model: TrainedModel, path: Path, labels: np.ndarray, probabilities: np.ndarray) -> str:
    top = top_classes(model.info.classes, labels, probabilities)
    return json.dumps({"picture": str(path), "model": model.name, "top": top})


def top_classes(classes: Sequence[Class], labels: np.ndarray, probabilities: np.ndarray) -> list[dict[str, Any]]:
    """Returns the wnid, the words and the probability of each label, in the order of the labels."""
    return [
        {"wnid": classes[label].wnid, "words": classes[label].words, "probability": float(probability)}
        for label, probability in zip(labels, probabilities, strict=True)
    ]
