"""The record of a run, shared by MLflow, the checkpoints, the workers, training.json and the comparisons."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from tiny_imagenet.core.schema import ModelSettings

# Keys of records that earlier versions wrote, and their current names.
RENAMED = {"warmup": "warmup_fraction", "flip_averaging": "flip_tta"}
RENAMED_AUGMENTATION = {"stretch": "rescale_max"}
ENVIRONMENT = ("device", "versions")  # the keys of the machine: not settings of the training


class RunRecord(ModelSettings):
    """The settings of a training, and the device, versions and data that it runs on.

    Attributes:
        device: Such as "CPU (2 cores)".
        versions: Of python, tensorflow and keras.
        data_sha256: SHA-256 of the records' manifest; "" in records of earlier versions.
    """

    device: str
    versions: dict[str, str]
    data_sha256: str = ""

    @model_validator(mode="before")
    @classmethod
    def _current_names(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            return raw
        record = {RENAMED.get(key, key): value for key, value in raw.items()}
        if isinstance(augmentation := record.get("augmentation"), Mapping):
            record["augmentation"] = {RENAMED_AUGMENTATION.get(k, k): v for k, v in augmentation.items()}
        return record

    def digest(self, *without: str) -> str:
        """Returns the SHA-256 of the record without some keys: equal records have equal digests."""
        content = self.model_dump(mode="json", exclude=set(without))
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class TrainingRecord(RunRecord):
    """The content of training.json: a run, and its cost as counts that do not depend on the machine.

    Attributes:
        pretrained: The initial weights; None: random ones.
        num_parameters: Of all weights, with the backbone and the statistics of normalizations.
        macs_per_image: Multiply-accumulates of one forward pass.
        train_flops: Of the whole training.
        model_sha256: Of model.keras: the tag by which the MLflow run is found; "" in records of earlier versions.
        train_seconds: In records of earlier versions only; a metric of the MLflow run now.
    """

    pretrained: str | None = None
    num_parameters: int
    macs_per_image: int
    train_flops: int
    model_sha256: str = ""
    train_seconds: float | None = None

    @property
    def costs(self) -> dict[str, float]:
        """The counts, by name."""
        return {key: getattr(self, key) for key in ("num_parameters", "macs_per_image", "train_flops")}

    @model_validator(mode="before")
    @classmethod
    def _without_speed(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            return raw
        return {key: value for key, value in raw.items() if key != "images_per_second"}


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Returns nested mappings as one with dotted keys, as MLflow shows parameters."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= flatten(item, f"{prefix}.{key}" if prefix else str(key))
    return flat
