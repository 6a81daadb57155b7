"""The command that asks a trained model what is on pictures: `python -m tiny_imagenet.cli.predict --help`."""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tiny_imagenet.cli.pictures import find_pictures, read_picture
from tiny_imagenet.cli.trained_models import TrainedModel, add_root_argument, find_model
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.process import command_process
from tiny_imagenet.dataset.classes import short_names

BATCH = 100  # pictures at once


@dataclass
class Tally:
    """What became of the pictures, and the seconds it took; TensorFlow's import and the model's start not counted."""

    answered: int = 0
    faulty: int = 0
    reading: float = 0.0
    computing: float = 0.0

    def tell(self, error: InputError) -> None:
        """Says what is wrong with a picture."""
        self.faulty += 1
        print(f"error: predict: {error}", file=sys.stderr)

    def __str__(self) -> str:
        """Returns the speed in a line."""
        speed = self.answered / (self.reading + self.computing)
        parts = f"reading {self.reading:.2f} s, model {self.computing:.2f} s"
        noun = "picture" if self.answered == 1 else "pictures"
        return f"{self.answered:,} {noun}, {speed:,.0f} a second ({parts})"


def main(words: Sequence[str] | None = None) -> int:
    """Shows the answers for the pictures that the command line names.

    Returns:
        The exit status: 2 if a picture could not be read, though the others were answered.
    """
    arguments = _parser().parse_args(words)
    model, tally = find_model(arguments.root, arguments.model), Tally()
    show = _json_line if arguments.json else _table
    for path, labels, probabilities in _answers(model, _paths(arguments.pictures, tally), tally):
        print(show(model, path, labels, probabilities), flush=True)
    if tally.answered:
        print(f"{model.name}: {tally}", file=sys.stderr)
    return InputError.exit_status if tally.faulty else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tiny_imagenet.cli.predict",
        description="Asks a trained model what is on pictures, and prints the five likeliest classes of each.",
        epilog="Any size and kind of picture: it is turned upright, cut to the square in its middle and resized.",
    )
    what = "a picture, a folder of them, or - for a list on standard input, one a line"
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help=what)
    parser.add_argument("--model", help="its name in params.yaml; default: the best on val of those that are there")
    parser.add_argument("--json", action="store_true", help="print a JSON object a picture, each on a line")
    add_root_argument(parser)
    return parser


def _paths(names: Sequence[str], tally: Tally) -> list[Path]:
    """Returns the pictures that the words of the command line stand for."""
    paths: list[Path] = []
    for name in names:
        for line in sys.stdin.read().splitlines() if name == "-" else [name]:
            try:
                paths += find_pictures(Path(line)) if line else []
            except InputError as error:
                tally.tell(error)
    return paths


def _answers(model: TrainedModel, paths: list[Path], tally: Tally) -> Iterator[tuple[Path, np.ndarray, np.ndarray]]:
    """Yields each picture that can be read with its likeliest classes and their probabilities, best first."""
    predict, size = None, model.manifest.image_size
    with ThreadPoolExecutor() as threads:
        for start in range(0, len(paths), BATCH):
            begun = time.monotonic()
            batch = list(threads.map(functools.partial(_read, size=size), paths[start : start + BATCH]))
            tally.reading += time.monotonic() - begun
            for item in batch:
                if isinstance(item, InputError):
                    tally.tell(item)
            found = [item for item in batch if not isinstance(item, InputError)]
            if not found:
                continue
            predict = predict or _load_predictor(model, min(BATCH, len(paths)))
            begun = time.monotonic()
            labels, probabilities = predict(np.stack([image for _, image in found]))
            tally.computing += time.monotonic() - begun
            tally.answered += len(found)
            yield from zip((path for path, _ in found), labels, probabilities, strict=True)


def _read(path: Path, size: int) -> tuple[Path, np.ndarray] | InputError:
    try:
        return path, read_picture(path, size)
    except InputError as error:
        return error


def _load_predictor(model: TrainedModel, batch_size: int) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Returns a function from images to their likeliest classes and probabilities, ready: it has run once."""
    from tiny_imagenet.distribute import devices  # sets what TensorFlow reads when it is imported

    # isort: split
    from tiny_imagenet.evaluation.metrics import top_predictions
    from tiny_imagenet.scoring.predictor import make_predictor

    strategy = devices.make_strategy("auto", "single", alone=True)
    with strategy.scope():
        predict = make_predictor(model.load(), batch_size, strategy, flip_tta=model.flip_tta)
    predict(np.zeros((1, model.manifest.image_size, model.manifest.image_size, 3), np.uint8))
    return lambda images: top_predictions(predict(images))


def _table(model: TrainedModel, path: Path, labels: np.ndarray, probabilities: np.ndarray) -> str:
    names = short_names(model.manifest.classes)
    rows = [f"{each:8.1%}  {names[label]}" for label, each in zip(labels, probabilities, strict=True)]
    return "\n".join([str(path), *rows])


def _json_line(model: TrainedModel, path: Path, labels: np.ndarray, probabilities: np.ndarray) -> str:
    classes = model.manifest.classes
    top = [
        {"wnid": classes[label].wnid, "words": classes[label].words, "probability": float(each)}
        for label, each in zip(labels, probabilities, strict=True)
    ]
    return json.dumps({"picture": str(path), "model": model.name, "top": top})


if __name__ == "__main__":
    with command_process("predict"):
        sys.exit(main())
