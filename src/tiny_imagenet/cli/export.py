"""The command that hands a trained model on, in formats that others load: `python -m tiny_imagenet.cli.export --help`."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tiny_imagenet.cli.export_formats import BATCH, FORMATS, ROUNDS, Format, Measured, as_float32, measure
from tiny_imagenet.cli.trained_models import TrainedModel, add_root_argument, find_model
from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.core.files import atomic_directory, write_csv
from tiny_imagenet.core.process import command_process
from tiny_imagenet.scoring.metrics import log_softmax

NUM_IMAGES = 100  # of val, whose answers are compared
TOLERANCE = 1e-4  # of a probability

PAGE = """# {name}

Classifies images of {dataset} into {num_classes} classes, named in `classes.csv`.
In: float32 `(images, {size}, {size}, 3)`, red, green, blue, 0 to 255; nothing is to be normalised.
Out: float32 logits `(images, {num_classes})`; their softmax gives the probabilities.{flip_averaging}

| file | MB | ms an image alone | images a second in batches of {batch} | differs by |
| :-- | --: | --: | --: | --: |
{rows}

Medians of {rounds} on {device}; TFLite computes on the CPU. "Differs by": the greatest difference in a probability
between the file's answers and the trained model's on {num_images} val images{arithmetic}. {versions}.

```python
model = keras.saving.load_model("model.keras", compile=False)   # model(images)
model = tensorflow.saved_model.load("saved_model")              # model.serve(images)
model = Interpreter("model.tflite").get_signature_runner()      # model(image=images)["output_0"]
```

`Interpreter` is `ai_edge_litert.interpreter.Interpreter`, which needs no TensorFlow, or `tensorflow.lite.Interpreter`.
"""

FLIP_AVERAGING = """
It was evaluated by the mean of the logits of an image and of its mirror image; to be as good, ask the files so too."""


def main(words: Sequence[str] | None = None) -> int:
    """Writes `exports/MODEL/` in the checkout, and shows its page."""
    arguments = _parser().parse_args(words)
    model = find_model(arguments.root, arguments.model)
    formats = [each for name, each in FORMATS.items() if name in arguments.format]
    print(_export(model, arguments.root, formats), end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tiny_imagenet.cli.export",
        description="Writes exports/MODEL/: a trained model in formats that others load, compared with it and timed.",
    )
    parser.add_argument("model", metavar="MODEL", help="its name in params.yaml")
    what = f"some of {', '.join(FORMATS)}; default: all"
    parser.add_argument("--format", nargs="+", choices=FORMATS, default=list(FORMATS), metavar="FORMAT", help=what)
    add_root_argument(parser)
    return parser


def _export(trained: TrainedModel, root: Path, formats: Sequence[Format]) -> str:
    """Writes the files and their page, whole or not at all; returns the page."""
    from tiny_imagenet.distribute import devices  # sets what TensorFlow reads when it is imported

    # isort: split
    from tiny_imagenet.images.decoding import load_images

    strategy, manifest = devices.make_strategy("auto", "single", alone=True), trained.manifest
    images = load_images(root / "data" / "records", manifest, "val", root / ".cache").images[:NUM_IMAGES]
    with strategy.scope(), atomic_directory(root / "exports" / trained.name) as folder:
        loaded = trained.load()
        model = as_float32(loaded)
        probabilities = np.exp(log_softmax(model(images.astype(np.float32), training=False).numpy()))
        measured = []
        for each in formats:
            each.write(model, folder / each.file, manifest.image_size)
            measured.append(measure(each, folder, images, probabilities))
            _require_equal(measured[-1])
        labelled = enumerate(manifest.classes)
        write_csv(folder / "classes.csv", [{"label": label, **dataclasses.asdict(each)} for label, each in labelled])
        page = _page(trained, measured, devices.device_name(strategy), len(images), same=model is loaded)
        (folder / "README.md").write_text(page, encoding="utf-8")
    return page


def _page(trained: TrainedModel, measured: Sequence[Measured], device: str, num_images: int, *, same: bool) -> str:
    manifest = trained.manifest
    return PAGE.format(
        name=trained.name,
        dataset=manifest.dataset,
        num_classes=manifest.num_classes,
        size=manifest.image_size,
        flip_averaging=FLIP_AVERAGING if trained.flip_tta else "",
        batch=BATCH,
        rows="\n".join(map(_row, measured)),
        rounds=ROUNDS,
        device=device,
        num_images=num_images,
        arithmetic="" if same else ", both in float32 (it was trained in mixed_bfloat16)",
        versions=", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras")),
    )


def _require_equal(found: Measured) -> None:
    if not found.difference <= TOLERANCE:
        what = f"answers differently from the trained model (by {found.difference:.2g} in a probability)"
        raise PipelineError(found.file, what, "leave this format out with --format, and report it")


def _row(found: Measured) -> str:
    cells = [f"{found.num_bytes / 1e6:.2f}", f"{found.one_image * 1e3:.2f}", f"{BATCH / found.batch:,.0f}"]
    return f"| {found.file} | {' | '.join(cells)} | {found.difference:.1g} |"


if __name__ == "__main__":
    with command_process("export"):
        sys.exit(main())
