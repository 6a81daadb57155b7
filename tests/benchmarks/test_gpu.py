"""The parts of `make gpu` on a processor, small; without a GPU the command is skipped."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import checks, peers, speed
from benchmarks.gpu.page import BEGIN, END, make_tables, update_page

from tiny_imagenet.distribute import devices  # before TensorFlow

# isort: split
import tensorflow as tf

GPUS = tf.config.list_physical_devices("GPU")
MACHINE = {"cpu": "a CPU", "cores": 2, "versions": {"tensorflow": "2.21"}}


@pytest.mark.skipif(bool(GPUS), reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks.gpu"])
    monkeypatch.setattr(command, "RESULTS", tmp_path / "gpu.json")
    command.main()
    assert capsys.readouterr().out.startswith("make gpu: skipped: TensorFlow sees no GPU")
    assert not list(tmp_path.iterdir())


def test_the_numbers_of_two_devices_are_compared() -> None:
    first = checks.numbers("vgg", "cpu", tiny=True)
    assert len(first["losses"]) == checks.STEPS
    found = checks.compare(first, first)
    assert found == {
        "pixel_difference": 0.0,
        "labels_equal": True,
        "masks_equal": True,
        "first_loss_difference": 0.0,
        "loss_difference": 0.0,
    }
    moved = {**first, "losses": [loss * 1.5 for loss in first["losses"]], "mask_sha256": "another"}
    found = checks.compare(first, moved)
    assert (found["masks_equal"], round(found["loss_difference"], 6)) == (False, round(1 / 3, 6))


def test_the_placement_counts_what_ran_where() -> None:
    found = checks.placement("logistic_regression", "cpu", tiny=True)
    assert found["operations"] > 50
    assert set(found["ran_on"]) == {"CPU"}
    assert found["ran_on"]["CPU"] > 50


def test_the_memory_grows_and_a_batch_that_does_not_fit_is_one_line() -> None:
    found = checks.memory("logistic_regression", "cpu", tiny=True)
    sizes = list(found["bytes"].values())
    assert 0 < sizes[0] <= sizes[1] <= sizes[2]
    assert found["too_large_a_batch"] == f"batch_size: {checks.TOO_MANY} images do not fit into memory; lower it"


def test_every_rate_is_positive() -> None:
    assert speed.matrix_product("bfloat16", "cpu", tiny=True)["flops"] > 0
    assert speed.augmentation("minutes", "cpu", tiny=True)["images_per_second"] > 0
    found = speed.steps("logistic_regression", "cpu", tiny=True)
    assert all(value > 0 for value in found.values())
    assert peers.keras_fit("logistic_regression", "cpu", tiny=True)["images_per_second"] > 0


def test_the_network_of_pytorch_is_that_of_resnet() -> None:
    pytest.importorskip("torch")
    from benchmarks.gpu.trainers import make_model, model_settings

    count = sum(each.numel() for each in peers.torch_resnet(*peers.RESNET_18.values()).parameters())
    settings = model_settings("gpu")
    assert count == sum(int(np.prod(each.shape)) for each in make_model(settings, 200).trainable_variables)
    assert peers.pytorch_step("gpu", "cpu", tiny=True)["images_per_second"] > 0


def test_the_page_shows_every_part(tmp_path: Path) -> None:
    results: dict[str, Any] = {
        "device": "a GPU",
        "machine": MACHINE,
        "command": "",
        "steps": {"vgg": {"images_per_second": 45000.0, "flops": 25.0}, "gpu": {"failed": "no | memory"}},
        "matrix_product": {"bfloat16": {"flops": 100.0}},
        "same_numbers": {"vgg": {"masks_equal": True, "labels_equal": False}},
    }
    tables = make_tables(results)
    assert "a GPU; a CPU, 2 cores; tensorflow 2.21." in tables
    assert "| vgg | 45,000 | 25 | 25.0% |" in tables
    assert "no \\| memory" in tables
    assert "| vgg | yes | **no** |" in tables
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    update_page(page, results)
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n{tables}\n{END}\nafter\n"


@pytest.mark.slow
def test_every_part_runs_in_its_own_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks.gpu", "--device", "cpu", "--tiny"])
    command.main()
    results = json.loads(capsys.readouterr().out)
    assert set(command.PARTS) <= set(results)
    assert results["device"] == devices.device_name(tf.distribute.OneDeviceStrategy("/cpu:0"))
    assert "failed" not in json.dumps({part: results[part] for part in command.PARTS})
    assert results["replicas"]["vgg"]["difference"] < 1e-5
