"""The stage train in two worker processes: the weights of one device, and exact resume after the loss of a worker."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tests.distribute.test_cluster import LOST, free_ports, tf_config
from tests.stages.test_train import history, runs, saved_step, wait_for_step, weights
from tests.support.tiny_records import REPOSITORY, import_stage, write_project

EPOCHS = 12
CHANGES = {"epochs": EPOCHS, "training": {"checkpoint_seconds": 0.05, "memory_gb": 8, "deterministic": True}}

# The stage, then the digest of the weights: workers other than the chief write no files.
STAGE = """
from tiny_imagenet.distribute import devices

import hashlib
from tests.stages.test_train_workers import digest_of
from tests.support.tiny_records import import_stage
from tiny_imagenet.training import experiment
from tiny_imagenet.core.process import stage_process

built, build = [], experiment.build_trainer
experiment.build_trainer = lambda *arguments: built.append(build(*arguments)) or built[0]
with stage_process("train"):
    import_stage("train").main("tiny")
print(digest_of(built[0].model))
"""


def digest_of(model: keras.Model) -> str:
    return hashlib.sha256(b"".join(np.asarray(each).tobytes() for each in model.trainable_variables)).hexdigest()


@contextmanager
def workers(folders: Sequence[Path]) -> Iterator[list[subprocess.Popen[str]]]:
    """Starts the stage as a worker in each folder, as on machines that share no disk."""
    addresses = [f"localhost:{port}" for port in free_ports(len(folders))]
    path = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])
    with ExitStack() as stack:
        started = []
        for i, folder in enumerate(folders):
            environment = os.environ | {"PYTHONPATH": path, "TF_CONFIG": tf_config(i, worker=addresses)}
            command, pipe = [sys.executable, "-c", STAGE], subprocess.PIPE
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)
            started.append(stack.enter_context(process))
            stack.callback(process.kill)
        yield started


def run_to_the_end(folders: Sequence[Path]) -> list[str]:
    """Runs the stage on all workers; returns what each printed."""
    with workers(folders) as started:
        ends = [each.communicate(timeout=300) for each in started]
    for process, (_, err) in zip(started, ends, strict=True):
        assert (process.returncode, err) == (0, "")
    return [out for out, _ in ends]


def lose_one(folders: Sequence[Path], which: int, *, after: int) -> None:
    """Kills a worker after a saved step; the other must end with one line that names it."""
    with workers(folders) as started:
        wait_for_step(folders[0], started[0], after)
        started[which].kill()
        left = started[1 - which]
        _, err = left.communicate(timeout=120)
    assert (left.returncode, err) == (1, f"error: train: worker {which}: {LOST}\n")


def projects(folder: Path, store: Path, *names: str, **changes: Any) -> list[Path]:
    return [write_project(folder / name, store, train=160, val=20, **{**CHANGES, **changes}) for name in names]


def files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if ".cache" not in path.parts and path.is_file()}


def test_workers_started_again_after_a_loss_give_the_weights_of_one_device(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch, signals: None
) -> None:
    chief, other, alone = projects(tmp_path, empty_store, "chief", "other", "alone")
    before = files(other)
    lose_one([chief, other], 1, after=1)
    lost_at = saved_step(chief)
    assert 0 < lost_at < 20 * EPOCHS
    assert not (chief / "models").exists()
    (run,) = runs(chief)
    assert run.info.status == "FAILED"

    out, other_out = run_to_the_end([chief, other])
    assert f"tiny: resuming from step {lost_at} in the same MLflow run, {run.info.run_id}" in out
    assert files(other) == before
    assert [each.info.status for each in runs(chief)] == ["FINISHED"]

    monkeypatch.chdir(alone)
    import_stage("train").main("tiny")
    assert_weights_of_one(chief, alone, [out, other_out])


def assert_weights_of_one(chief: Path, alone: Path, outputs: Sequence[str]) -> None:
    """Checks the last line of each worker, and the chief's model and history beside those of one device."""
    ours, theirs = (keras.models.load_model(each / "models" / "tiny" / "model.keras") for each in (chief, alone))
    assert {out.splitlines()[-1] for out in outputs} == {digest_of(ours)}
    for variable, expected in zip(ours.trainable_variables, theirs.trainable_variables, strict=True):
        np.testing.assert_allclose(np.asarray(variable), np.asarray(expected), rtol=0, atol=1e-6)
    for row, expected in zip(history(chief), history(alone), strict=True):
        for name in row:
            assert float(row[name]) == pytest.approx(float(expected[name]), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [{"fraction": 0.5}, {"steps": 3}, {"overfit_batches": 2}])
def test_a_debug_run_on_two_workers_gives_the_weights_of_one_device(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch, signals: None, limit: dict[str, float]
) -> None:
    debug = {"fraction": None, "steps": None, "overfit_batches": None} | limit
    chief, other, alone = projects(tmp_path, empty_store, "chief", "other", "alone", epochs=2, debug=debug)
    outputs = run_to_the_end([chief, other])
    monkeypatch.chdir(alone)
    import_stage("train").main("tiny")
    assert_weights_of_one(chief, alone, outputs)


@pytest.mark.slow
def test_workers_killed_stopped_and_resumed_give_the_same_weights(tmp_path: Path, empty_store: Path) -> None:
    """SIGKILL of the chief, then SIGTERM to the other, then resumed to the end."""
    chief, other, *undisturbed = projects(
        tmp_path, empty_store, "chief", "other", "undisturbed_chief", "undisturbed_other"
    )
    expected = run_to_the_end(undisturbed)
    lose_one([chief, other], 0, after=1)
    lost_at = saved_step(chief)
    with workers([chief, other]) as started:
        wait_for_step(chief, started[0], lost_at + 1)
        started[1].send_signal(signal.SIGTERM)
        ends = [each.communicate(timeout=120) for each in started]
    stopped_at = saved_step(chief)
    assert lost_at < stopped_at < 20 * EPOCHS
    for process, (_, err) in zip(started, ends, strict=True):
        assert process.returncode == 128 + signal.SIGTERM
        assert err == f"train: stopped at step {stopped_at}, which is saved; the next run resumes from there\n"
    found = run_to_the_end([chief, other])
    assert [out.splitlines()[-1] for out in found] == [out.splitlines()[-1] for out in expected]
    assert weights(chief) == weights(undisturbed[0])
    assert history(chief) == history(undisturbed[0])


@pytest.mark.slow
def test_a_worker_with_other_settings_is_named(tmp_path: Path, empty_store: Path) -> None:
    chief, other = (write_project(tmp_path / name, empty_store, batch_size=size) for name, size in (("a", 8), ("b", 4)))
    with workers([chief, other]) as started:
        ends = [each.communicate(timeout=300) for each in started]
    for process, (_, err) in zip(started, ends, strict=True):
        assert process.returncode == 1
        assert err.startswith("error: train: worker 1: does not have the chief's settings; all workers need the same ")
    assert not runs(chief)
