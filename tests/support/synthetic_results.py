"""Synthetic outputs of the stages before report: records, metrics and run files in their formats."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from tiny_imagenet.core.run_record import TrainingRecord
from tiny_imagenet.dataset.classes import Class
from tiny_imagenet.dataset.manifest import Manifest, Split, write_manifest
from tiny_imagenet.evaluation.metrics import ECE, METRICS, OBJECTIVE
from tiny_imagenet.records.writer import write_shard
from tiny_imagenet.report.file_records import PublishedRow
from tiny_imagenet.report.result_files import load_result
from tiny_imagenet.report.results import Result
from tiny_imagenet.scoring.metrics import LOSS, TOP_1


def _layer(kind: str, output_shape: list[int], num_parameters: int = 0, details: str = "") -> dict[str, Any]:
    macs = 9 * num_parameters
    return {
        "name": kind.lower(),
        "type": kind,
        "output_shape": output_shape,
        "num_parameters": num_parameters,
        "macs": macs,
        "details": details,
    }


PUBLISHED = PublishedRow(epochs=40, loss=3.98, top_1_accuracy=0.245, top_5_accuracy=0.488, images_seen=4_000_000)
TRAIN_SECONDS = 3725.0
ARCHITECTURE = {
    "name": "vgg",
    "input_shape": [64, 64, 3],
    "num_parameters": 4_000_000,
    "macs_per_image": 99_000_000,
    "layers": [
        _layer("InputLayer", [64, 64, 3]),
        _layer("Conv2D", [62, 62, 32], 896, "32 x 3x3, relu"),
        _layer("MaxPooling2D", [31, 31, 32], 0, "2x2"),
        _layer("Flatten", [30752]),
        _layer("Dropout", [30752], 0, "0.2"),
        _layer("Dense", [3], 3_999_104, "3, linear"),
    ],
}


def _repeats(contents: int, *first: str) -> dict[str, Any]:
    images = {"train": contents, "val": contents}
    return {"contents": contents, "contents_of_several_classes": contents, "images": images, "first": list(first)}


def _split(num_images: int, per_class: int) -> dict[str, Any]:
    return {
        "num_images": num_images,
        "jpeg_bytes": {"min": 500, "mean": 1944.5, "max": 3195, "total": 1944 * num_images},
        "greyscale_files": 5,
        "colour_files_without_colour": 2,
        "single_colour": {"count": 1, "first": ["plain.JPEG"]},
        "images_per_class": {"min": per_class, "max": per_class, "unusual": {"count": 0, "first": []}},
        "greyscale_files_per_class": {"max": 3, "class": "n00000001"},
    }


DATA_REPORT = {
    "dataset": "made-up",
    "train_mean": [0.48, 0.45, 0.4],
    "train_std": [0.28, 0.27, 0.28],
    "splits": {"train": _split(100_000, 500), "val": _split(10_000, 50)},
    "identical_files": {
        "train": _repeats(0),
        "train_and_val": _repeats(7, "train/n00000001/images/a.JPEG = val/images/val_2.JPEG"),
    },
    "identical_pixels_of_different_files": {"train": _repeats(0), "train_and_val": _repeats(0)},
    "classes_without_words": ["n00000000"],
    "classes_of_equal_words": [],
    "classes_of_equal_first_word": ["one: n00000001, n00000002"],
}


def write_project(
    root: Path,
    words: Sequence[str],
    models: Mapping[str, int],
    splits: Sequence[str] = ("train", "val"),
    **changes: Any,
) -> None:
    """Writes the input of the stage report: params.yaml, records, and the results of models.

    Args:
        root: An existing folder.
        words: Of each class.
        models: Epochs trained, by model.
        splits: Of the records.
        **changes: Of keys in params.yaml.
    """
    params = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8"))
    params |= {"models": {name: {"architecture": "vgg", "recipe": "paper"} for name in models}} | changes
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    write_records(root / "data" / "records", words, splits=splits)
    for name, epochs in models.items():
        write_model(root, name, words, epochs=epochs)
    (root / "reports").mkdir()
    _write_json(root / "reports" / "data.json", DATA_REPORT)


def write_records(
    folder: Path,
    words: Sequence[str],
    dataset: str = "digits",
    images_per_class: int = 4,
    splits: Sequence[str] = ("train", "val"),
) -> None:
    """Writes records of random images, one shard a split, the classes in turn."""
    folder.mkdir(parents=True)
    wnids = [f"n{label:08d}" for label in range(len(words))]
    random = np.random.default_rng(0)
    written = {}
    for split in splits:
        examples = [
            {
                "image/encoded": jpeg(random.integers(0, 256, (8, 8, 3))),
                "image/format": b"jpeg",
                "image/height": 64,
                "image/width": 64,
                "image/class/label": label,
                "image/class/synset": wnids[label].encode(),
                "image/class/text": words[label].encode(),
                "image/filename": f"{split}_{number}_{label}.JPEG".encode(),
            }
            for number in range(images_per_class)
            for label in range(len(words))
        ]
        written[split] = Split(len(examples), (write_shard(folder / f"{split}-00000-of-00001.tfrecord", examples),))
    classes = tuple(Class(wnid, text) for wnid, text in zip(wnids, words, strict=True))
    write_manifest(folder, Manifest(dataset, 64, classes, written, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)))


def jpeg(blocks: np.ndarray) -> bytes:
    """Returns blocks of color, (8, 8, 3), as a JPEG of 64 x 64 pixels."""
    buffer = io.BytesIO()
    Image.fromarray(blocks.astype(np.uint8)).resize((64, 64), Image.Resampling.NEAREST).save(buffer, "JPEG")
    return buffer.getvalue()


def write_model(
    root: Path, model: str, words: Sequence[str], *, epochs: int = 1, top_1: float = 0.25, num_images: int = 10_000
) -> None:
    """Writes metrics/MODEL; other accuracies are twice top-1, the recipe has 40 epochs."""
    metrics = root / "metrics" / model
    metrics.mkdir(parents=True)
    _write_json(metrics / "architecture.json", ARCHITECTURE)
    record = training(model, epochs).model_dump(mode="json", exclude={"train_seconds"})
    _write_json(metrics / "training.json", record)
    metric_values = {LOSS: 3.5, OBJECTIVE: 4.0, TOP_1: top_1, ECE: 0.05}
    evaluation = {metric.key: metric_values.get(metric, 2 * top_1) for metric in METRICS}
    _write_json(metrics / "evaluation.json", {"model": model, "num_images": num_images, **evaluation})
    _write_csv(metrics / "history.csv", [_epoch(epoch, epochs, top_1) for epoch in range(1, epochs + 1)])
    _write_csv(metrics / "per_class.csv", _per_class(words, top_1))
    _write_csv(metrics / "calibration.csv", _calibration())
    labels = np.tile(np.arange(len(words), dtype=np.int32), 4)
    top_5 = np.stack([(labels + shift) % len(words) for shift in range(min(5, len(words)))], axis=1).astype(np.int32)
    probability = np.tile(np.float32([0.4, 0.2, 0.1, 0.08, 0.05])[: top_5.shape[1]], (len(labels), 1))
    loss = np.ones(len(labels), np.float32)
    np.savez(metrics / "predictions.npz", label=labels, top_5=top_5, top_5_probability=probability, loss=loss)


def training(model: str, epochs: int) -> TrainingRecord:
    """Returns the record of a training by the recipe `paper`."""
    return TrainingRecord(
        model=model,
        architecture="vgg",
        arguments={},
        recipe="paper",
        recipe_epochs=40,
        dataset="digits",
        seed=1,
        optimizer="sgd",
        lr=0.01,
        epochs=epochs,
        batch_size=100,
        device="CPU (2 cores)",
        versions={"python": "3.11.2", "tensorflow": "2.21.0", "keras": "3.15.1"},
        data_sha256="ab" * 32,
        num_parameters=4_000_000,
        macs_per_image=99_000_000,
        train_flops=2_376_000_000_000_000,
        model_sha256=hashlib.sha256(model.encode()).hexdigest(),
    )


def _epoch(epoch: int, epochs: int, top_1: float) -> dict[str, float]:
    share = epoch / epochs
    return {
        "epoch": epoch,
        "lr": 0.01,
        "loss": 5.2 - 1.6 * share,
        "objective": 5.8 - 1.7 * share,
        "top_1_accuracy": 0.95 * top_1 * share**0.5,
        "top_5_accuracy": 1.9 * top_1 * share**0.5,
        "val_loss": 5.2 - 1.7 * share,
        "val_objective": 5.8 - 1.8 * share,
        "val_top_1_accuracy": top_1 * share**0.5,
        "val_top_5_accuracy": 2 * top_1 * share**0.5,
    }


def _per_class(words: Sequence[str], top_1: float) -> list[dict[str, Any]]:
    return [
        {
            "wnid": f"n{label:08d}",
            "words": text,
            "num_images": 50,
            "top_1_accuracy": 2 * top_1 * label / len(words),
            "top_5_accuracy": min(1.0, 4 * top_1 * label / len(words)),
            "most_confused_with": words[label - 1],
            "most_confused_count": 7,
        }
        for label, text in enumerate(words)
    ]


def _calibration() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for low in range(10):
        images = max(0, 3000 - 600 * low)
        filled = {"confidence": low / 10 + 0.05, "accuracy": low / 12 + 0.05}
        rows.append(
            {"bin_low": low / 10, "bin_high": low / 10 + 0.1, "num_images": images}
            | (filled if images else {"confidence": "", "accuracy": ""})
        )
    return rows


def load_model_result(root: Path, model: str, published: PublishedRow | None = None, **changes: object) -> Result:
    """Reads the results of a model, some keys of its training.json changed before; its training took TRAIN_SECONDS."""
    path = root / "metrics" / model / "training.json"
    change_json(path, **changes)
    result = load_result(model, path.parent, published)
    return dataclasses.replace(result, train_seconds=result.train_seconds or TRAIN_SECONDS)


def with_training(result: Result, **changes: object) -> Result:
    """Returns a result with some values of its training changed."""
    return dataclasses.replace(result, training=result.training.model_copy(update=changes))


def change_json(path: Path, **values: object) -> None:
    """Changes keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
