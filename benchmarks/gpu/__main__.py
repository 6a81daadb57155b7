"""`python -m benchmarks.gpu [--device cpu] [--tiny] [--parts PART ...]`: checks and measures the training on a GPU.

Each part runs in a process of its own, for TensorFlow cannot change its devices once it has used them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.gpu.page import update_page
from benchmarks.machine import describe_machine

HERE = Path(__file__).parents[1]
RESULTS, PAGE = HERE / "gpu.json", HERE / "gpu.md"
PAPER = ("logistic_regression", "fully_connected", "simple_cnn", "vgg")
COMPARED = ("vgg", "minutes", "gpu")  # one model of each recipe that must be the same on every device
RECIPES = (*PAPER, "minutes", "hour", "gpu", "pretrained")

Run = Callable[..., dict[str, Any]]


def main() -> None:
    """Runs the parts, writes gpu.json and gpu.md; without a GPU it says so and ends."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu", help="cpu: try the parts without a GPU")
    parser.add_argument("--tiny", action="store_true", help="small models, few steps; prints the results only")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--part", help=argparse.SUPPRESS)  # in this process: MODULE.FUNCTION, MODEL, options in JSON
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(run_here(options.part, *options.arguments)))
        return
    device = describe_device(options.device)
    if device is None:
        print("make gpu: skipped: TensorFlow sees no GPU (`--device cpu --tiny` tries every part on a processor)")
        return
    results: dict[str, Any] = {"device": device, "machine": describe_machine(), "command": " ".join(sys.argv[1:])}
    for part in options.parts:
        print(f"{part} ...", file=sys.stderr, flush=True)
        results[part] = PARTS[part](options.device, tiny=options.tiny)
    bad = bad_parts(results)
    if options.tiny or options.device == "cpu":
        print(json.dumps(results, indent=1))
    else:
        results = with_stored_parts(results)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        update_page(PAGE, results)
    if bad:
        sys.exit(f"make gpu: failed, or not equal: {', '.join(bad)}")


def with_stored_parts(results: dict[str, Any]) -> dict[str, Any]:
    """Adds the parts that were not run from gpu.json, if it is of the same device, machine and software."""
    stored = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    ours, theirs = ((each.get("device"), each.get("machine", {}) | {"load_before": None}) for each in (results, stored))
    parts = stored | results if ours == theirs else results
    head = {key: value for key, value in results.items() if key not in PARTS}
    return head | {part: parts[part] for part in PARTS if part in parts}


def bad_parts(results: dict[str, Any]) -> list[str]:
    """Returns the parts, each with its models, that failed or have a comparison whose result is `no`."""
    bad = []
    for part in (part for part in PARTS if part in results):
        rows = results[part].items()
        models = [name for name, row in rows if "failed" in row or any(value is False for value in row.values())]
        bad += [f"{part} ({', '.join(models)})"] if models else []
    return bad


def describe_device(device: str) -> str | None:
    """Returns the name of the device; None if there is no GPU and one is wanted."""
    from tiny_imagenet.distribute import devices

    # isort: split
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu":
        return devices.device_name(tf.distribute.OneDeviceStrategy("/cpu:0"))
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")) if gpus else None


def run_here(part: str, model: str, options: str) -> dict[str, Any]:
    """Runs a function of checks.py, speed.py or peers.py in this process."""
    import importlib

    module, function = part.split(".")
    found: dict[str, Any] = getattr(importlib.import_module(f"benchmarks.gpu.{module}"), function)(
        model, **json.loads(options)
    )
    return found


def run_apart(part: str, model: str, device: str, *, tiny: bool, **options: Any) -> dict[str, Any]:
    """Runs a function of checks.py, speed.py or peers.py in a new process; `failed` is the last line of an error."""
    words = [part, model, json.dumps({"device": device, "tiny": tiny, **options})]
    command = [sys.executable, "-m", "benchmarks.gpu", "--part", *words]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def each_of(part: str, models: tuple[str, ...]) -> Run:
    """Returns a part that runs a function once for each model."""

    def run(device: str, *, tiny: bool) -> dict[str, Any]:
        return {model: run_apart(part, model, device, tiny=tiny) for model in models}

    return run


def same_numbers(device: str, *, tiny: bool) -> dict[str, Any]:
    """Compares the first steps with a processor's, and two runs with each other."""
    from benchmarks.gpu.checks import compare

    found = {}
    for model in COMPARED:
        reference, first, second = (
            run_apart("checks.numbers", model, each, tiny=tiny) for each in ("cpu", device, device)
        )
        failed = next((each for each in (reference, first, second) if "failed" in each), None)
        equal = {"two_runs_equal": first.get("weights_sha256") == second.get("weights_sha256")}
        found[model] = failed or compare(first, reference) | equal
    return found


def determinism(device: str, *, tiny: bool) -> dict[str, Any]:
    """Measures what determinism costs, and what refuses it."""
    found = {}
    for model in COMPARED:
        runs = {
            "without": run_apart("speed.steps", model, device, tiny=tiny, deterministic=False),
            "with": run_apart("speed.steps", model, device, tiny=tiny),
            "xla": run_apart("checks.refusals", model, device, tiny=tiny),
        }
        failed = "; ".join(f"{name}: {run['failed']}" for name, run in runs.items() if "failed" in run)
        cells = {name: run.get("xla" if name == "xla" else "images_per_second") for name, run in runs.items()}
        found[model] = cells | ({"failed": failed} if failed else {})
    return found


PARTS: dict[str, Run] = {
    "placement": each_of("checks.placement", RECIPES),
    "same_numbers": same_numbers,
    "determinism": determinism,
    "memory": each_of("checks.memory", ("vgg",)),
    "replicas": each_of("checks.replicas", ("vgg",)),
    "steps": each_of("speed.steps", RECIPES),
    "matrix_product": each_of("speed.matrix_product", ("bfloat16",)),
    "augmentation": each_of("speed.augmentation", COMPARED),
    "keras_fit": each_of("peers.keras_fit", ("vgg", "gpu")),
    "pytorch": each_of("peers.pytorch_step", ("gpu",)),
}


if __name__ == "__main__":
    main()
