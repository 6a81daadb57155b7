"""The settings that params.yaml gives today are those of the committed results: no default moves unseen."""

import json
from pathlib import Path

import pytest

from tiny_imagenet.core.params import load_params
from tiny_imagenet.core.run_record import flatten

ROOT = Path(__file__).parents[1]
PARAMS = load_params(ROOT / "params.yaml")
RECORDED = json.loads((ROOT / "reports" / "settings.json").read_text(encoding="utf-8"))
OFF = (None, False, 0, "none")  # a key that is newer than a result must be off in it


def test_every_result_has_its_settings():
    results = json.loads((ROOT / "reports" / "results.json").read_text(encoding="utf-8"))
    assert [result["model"] for result in results] == list(RECORDED)
    for result in results:
        recorded = RECORDED[result["model"]]
        same = ("recipe", "dataset", "epochs")
        assert [result[key] for key in same] == [recorded[key] for key in same]
        assert result["seeds"] == [recorded["seed"]]


@pytest.mark.parametrize("name", RECORDED)
def test_a_model_is_set_as_it_was_trained(name):
    """If it differs on purpose, `dvc repro` trains the model and records its settings."""
    now = flatten(PARAMS.model(name).model_dump(mode="json"))
    then = flatten(RECORDED[name])
    assert {key: now.get(key) for key in then} == then
    newer = {key: value for key, value in now.items() if key not in then}
    assert all(value in OFF for value in newer.values()), newer
