"""The command `tiny-imagenet export`: a trained model in formats that other programs load."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tiny_imagenet.cli.export_formats import BATCH_SIZE, FORMATS, ROUNDS, Format, Measurement, as_float32, measure
from tiny_imagenet.cli.trained_models import TrainedModel, add_root_argument, find_model
from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.files import atomic_directory, write_csv
from tiny_imagenet.scoring.metrics import log_softmax

HELP = "write a trained model to exports/MODEL/ in formats that other programs load, each checked and timed"
NUM_IMAGES, BLOCKS = 100, 8  # generated, each of 8 x 8 colored blocks: the files are compared on them with the model
TOLERANCE = 1e-4  # of a probability

PAGE = """\
# {{ model.name }}

Classifies images of {{ info.dataset }} into {{ info.classes | length }} classes, listed in `classes.csv`.
Input: float32 `(images, {{ size }}, {{ size }}, 3)`, RGB, 0 to 255; the model normalizes them itself.
Output: float32 logits `(images, {{ info.classes | length }})`; their softmax gives the probabilities.
{%- if info.flip_tta %}
It was evaluated on the mean of the logits of each image and of its mirror image; to get the same accuracy, do the same.
{%- endif %}

| file | MB | ms for one image | images/s in batches of {{ batch_size }} | largest difference |
| :-- | --: | --: | --: | --: |
{%- for each in measurements %}
| {{ each.file }} | {{ "%.2f" % (each.num_bytes / 1e6) }} | {{ "%.2f" % (each.one_image_seconds * 1e3) }} |
{#- #} {{ "{:,.0f}".format(batch_size / each.batch_seconds) }} | {{ "%.1g" % each.difference }} |
{%- endfor %}

Speeds are medians of {{ rounds }} rounds on {{ device }}; TFLite and ONNX compute on the CPU. The difference is that of
a probability between the file's predictions and the trained model's, on {{ num_images }} generated images
{%- if converted %}, both in float32
(it was trained in mixed_bfloat16){% endif %}. {{ versions }}.

```python
model = keras.saving.load_model("model.keras", compile=False)   # model(images)
model = tensorflow.saved_model.load("saved_model")              # model.serve(images)
model = Interpreter("model.tflite").get_signature_runner()      # model(image=images)["output_0"]
model = onnxruntime.InferenceSession("model.onnx")              # model.run(None, {"image": images})[0]
```

`Interpreter` is `ai_edge_litert.interpreter.Interpreter`, which needs no TensorFlow, or `tensorflow.lite.Interpreter`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="its name in params.yaml, or a .keras file")
    text = f"one or more of {', '.join(FORMATS)}; default: all whose packages are installed"
    default = [name for name, each in FORMATS.items() if each.is_installed]
    parser.add_argument("--format", nargs="+", choices=FORMATS, default=default, metavar="FORMAT", help=text)
    add_root_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Writes `exports/MODEL/` in the checkout and prints its README."""
    for name in arguments.format:
        if not FORMATS[name].is_installed:
            todo = "install them with `python -m pip install -e .[onnx]`, or leave it out with --format"
            raise InputError(f"--format {name}", f"needs the packages {' and '.join(FORMATS[name].packages)}", todo)
    model = find_model(arguments.root, arguments.model)
    formats = [each for name, each in FORMATS.items() if name in arguments.format]
    files = ", ".join(each.file for each in formats)
    print(f"{model.name}: exporting {model.path} as {files} ...", file=sys.stderr, flush=True)
    print(_export(model, arguments.root, formats), end="")
    return 0


def _export(trained: TrainedModel, root: Path, formats: Sequence[Format]) -> str:
    """Writes the files and their README, all or none; returns the README."""
    loaded, strategy = trained.load()

    # isort: split
    from tiny_imagenet.distribute.devices import device_name

    info, images = trained.info, _generated_images(trained.info.image_size)
    with strategy.scope(), atomic_directory(root / "exports" / trained.name) as folder:
        model = as_float32(loaded)
        probabilities = np.exp(log_softmax(model(images.astype(np.float32), training=False).numpy()))
        measurements = []
        for each in formats:
            each.write(model, folder / each.file, info.image_size)
            measurements.append(measure(each, folder, images, probabilities))
            _require_equal(measurements[-1])
        labeled = enumerate(info.classes)
        write_csv(folder / "classes.csv", [{"label": label, **dataclasses.asdict(each)} for label, each in labeled])
        page = _render_page(trained, measurements, device_name(strategy), converted=model is not loaded)
        (folder / "README.md").write_text(page, encoding="utf-8")
    return page


def _generated_images(size: int) -> np.ndarray:
    """Returns uint8 (NUM_IMAGES, size, size, 3), always the same: no image of the dataset is needed."""
    colors = np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, BLOCKS, BLOCKS, 3), np.uint8)
    index = np.arange(size) * BLOCKS // size
    return colors[:, index][:, :, index]


def _require_equal(found: Measurement) -> None:
    """Raises a PipelineError if a file predicts something else than the model."""
    if not found.difference <= TOLERANCE:
        what = f"predictions differ from the trained model's (by {found.difference:.2g} in a probability)"
        raise PipelineError(found.file, what, "leave this format out with --format, and report the problem")


def _render_page(trained: TrainedModel, measurements: Sequence[Measurement], device: str, *, converted: bool) -> str:
    from jinja2 import Environment, StrictUndefined

    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(PAGE)
    return template.render(
        model=trained,
        info=trained.info,
        size=trained.info.image_size,
        measurements=measurements,
        batch_size=BATCH_SIZE,
        rounds=ROUNDS,
        device=device,
        num_images=NUM_IMAGES,
        converted=converted,
        versions=", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras")),
    )
