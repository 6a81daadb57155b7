"""The record of a run: its digest, and the files of earlier versions."""

from typing import Any

import pytest
from pydantic import ValidationError

from tiny_imagenet.core.run_record import ENVIRONMENT, RunRecord, TrainingRecord, flatten
from tiny_imagenet.core.schema import Augmentation, ModelSettings

# A training.json of the version in which a training's speed and the former names of keys were in it.
FORMER: dict[str, Any] = {
    "model": "small",
    "architecture": "deep_vgg",
    "arguments": {"filters": [8, 16], "pool_first": True, "hidden_units": None},
    "recipe": "minutes",
    "recipe_epochs": 3,
    "optimizer": "muon",
    "lr": 0.25,
    "epochs": 4,
    "batch_size": 50,
    "momentum": 0.5,
    "schedule": "one_cycle",
    "warmup": 0.125,
    "weight_decay": 0.5,
    "clip_norm": None,
    "ema_momentum": 0.0,
    "l2": 0.0,
    "dropout": 0.0,
    "label_smoothing": 0.25,
    "progressive_resizing": None,
    "frozen_epochs": 0,
    "flip_averaging": True,
    "precision": "mixed_bfloat16",
    "xla": False,
    "augmentation": {
        "rotation_degrees": 0.0,
        "shift_fraction": 0.0,
        "shift_pixels": 2,
        "brightness": [1.0, 1.5],
        "stretch": True,
        "flip": "alternating",
        "interpolation": "bilinear",
        "random_resized_crop": None,
        "trivial_augment": False,
        "random_erasing": 0.0,
        "mixup": 0.0,
        "cutmix": 0.0,
    },
    "dataset": "digits",
    "seed": 2,
    "device": "CPU (4 cores)",
    "versions": {"python": "3.11.0", "tensorflow": "2.21.0", "keras": "3.15.0"},
    "pretrained": None,
    "num_parameters": 1234,
    "macs_per_image": 5678,
    "train_flops": 91011,
    "train_seconds": 12.5,
    "images_per_second": 100.25,
}
COST = ("pretrained", "num_parameters", "macs_per_image", "train_flops", "train_seconds", "images_per_second")


def make_record(**changes: Any) -> RunRecord:
    return RunRecord(**{key: value for key, value in FORMER.items() if key not in COST} | changes)


def test_a_former_training_json_is_read_under_the_current_names() -> None:
    record = TrainingRecord.model_validate(FORMER)
    assert (record.warmup_fraction, record.flip_tta, record.augmentation.rescale_max) == (0.125, True, True)
    assert (record.train_seconds, record.data_sha256) == (12.5, "")
    same = FORMER.keys() - {"clip_norm", "warmup", "flip_averaging", "augmentation", "images_per_second"}
    assert record.model_dump(include=same) == {key: FORMER[key] for key in same}
    moved = {"shift_pixels": 2, "brightness": (1.0, 1.5), "rescale_max": True, "flip": "alternating"}
    assert record.augmentation == Augmentation(**moved)


def test_a_current_training_json_is_read_as_it_was_written() -> None:
    record = TrainingRecord.model_validate(FORMER).model_copy(update={"data_sha256": "ab", "train_seconds": None})
    assert TrainingRecord.model_validate_json(record.model_dump_json()) == record
    assert TrainingRecord.model_validate(record.model_dump()) == record


def test_reading_leaves_the_raw_content_unchanged() -> None:
    raw = FORMER | {"augmentation": dict(FORMER["augmentation"])}
    TrainingRecord.model_validate(raw)
    assert raw == FORMER


@pytest.mark.parametrize("raw", [[], 3, None, {"model": "small"}, FORMER | {"zzz": 1}])
def test_other_content_is_an_error(raw: object) -> None:
    with pytest.raises(ValidationError):
        TrainingRecord.model_validate(raw)


def test_equal_records_have_equal_digests() -> None:
    record = make_record()
    assert record.digest() == make_record().digest()
    assert len(record.digest()) == 64
    renamed = {key: value for key, value in record.model_dump().items() if key != "warmup_fraction"}
    assert RunRecord(**renamed, warmup=0.125).digest() == record.digest()
    reordered = dict(reversed(record.model_dump().items()))
    assert RunRecord(**reordered).digest() == record.digest()


@pytest.mark.parametrize(
    "change",
    [
        {"lr": 0.5},
        {"seed": 3},
        {"arguments": {"filters": [8, 17]}},
        {"augmentation": {"flip": "random"}},
        {"device": "GPU"},
        {"versions": {"python": "3.12.0"}},
        {"data_sha256": "ab"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_key_is_part_of_the_digest(change: dict[str, Any]) -> None:
    assert make_record(**change).digest() != make_record().digest()


def test_named_keys_can_be_left_out_of_the_digest() -> None:
    other = make_record(device="GPU", versions={"python": "3.12.0"})
    assert other.digest(*ENVIRONMENT) == make_record().digest(*ENVIRONMENT)
    assert other.digest("device") != make_record().digest("device")
    assert make_record(lr=0.5).digest(*ENVIRONMENT) != make_record().digest(*ENVIRONMENT)


def test_a_run_has_all_settings_of_its_model() -> None:
    assert set(ModelSettings.model_fields) | {"device", "versions", "data_sha256"} == set(RunRecord.model_fields)


def test_nested_keys_are_joined_by_dots() -> None:
    assert flatten({"a": {"b": 1, "c": [2]}, "d": None, "e": {}}) == {"a.b": 1, "a.c": [2], "d": None}
    flat = flatten(make_record().model_dump())
    assert (flat["augmentation.flip"], flat["arguments.filters"]) == ("alternating", [8, 16])
