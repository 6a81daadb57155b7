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
    sizes = list(found["peak_bytes"].values())
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


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Returns a function that runs parts on a GPU that is not there and returns what gpu.json then holds."""
    monkeypatch.setattr(command, "RESULTS", tmp_path / "gpu.json")
    monkeypatch.setattr(command, "PAGE", tmp_path / "gpu.md")
    (tmp_path / "gpu.md").write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")

    def run(parts: dict[str, Any], device: str = "a GPU", **machine: Any) -> Any:
        monkeypatch.setattr(command, "describe_device", lambda _: device)
        monkeypatch.setattr(command, "describe_machine", lambda: MACHINE | machine)
        for part, found in parts.items():
            monkeypatch.setitem(command.PARTS, part, lambda _, tiny, found=found: found)
        monkeypatch.setattr(sys, "argv", ["benchmarks.gpu", "--parts", *parts])
        command.main()
        return json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))

    return run


def test_some_parts_keep_the_results_of_the_others_on_the_same_device_and_machine(measure, tmp_path: Path) -> None:
    rates, memory = {"vgg": {"images_per_second": 2.0}}, {"vgg": {"peak_bytes": {"start": 1}}}
    measure({"steps": {"vgg": {"images_per_second": 1.0}}}, load_before=0.5)
    measure({"memory": memory}, load_before=0.1)
    found = measure({"steps": rates})
    assert (found["memory"], found["steps"]) == (memory, rates)
    assert "peak bytes: start" in (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert "memory" not in measure({"steps": rates}, cores=4)
    assert "steps" not in measure({"memory": memory}, device="another GPU", cores=4)


def test_the_line_of_an_error_names_the_parts_that_failed_or_differ(measure, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        measure(
            {
                "steps": {"vgg": {"failed": "no memory"}, "gpu": {"images_per_second": 1.0}},
                "same_numbers": {"vgg": {"two_runs_equal": False}, "gpu": {"two_runs_equal": True, "loss": 0.0}},
                "memory": {"vgg": {"peak_bytes": {"start": 1}}},
            }
        )
    assert end.value.code == "make gpu: failed, or not equal: same_numbers (vgg), steps (vgg)"
    assert "no memory" in (tmp_path / "gpu.md").read_text(encoding="utf-8")


def test_a_timing_that_failed_keeps_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_apart(part: str, *_: Any, deterministic: bool = True, **__: Any) -> dict[str, Any]:
        if part == "checks.refusals":
            return {"xla": None}
        return {"images_per_second": 5.0} if deterministic else {"failed": "no memory"}

    monkeypatch.setattr(command, "run_apart", run_apart)
    expected = {"without": None, "with": 5.0, "xla": None, "failed": "without: no memory"}
    assert set(map(str, command.determinism("gpu", tiny=True).values())) == {str(expected)}


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
