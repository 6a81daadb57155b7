import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from tests.support.tiny_archive import jpeg, members, write_archive

from tiny_imagenet.archive.zip_archive import Archive
from tiny_imagenet.dataset.manifest import load_manifest
from tiny_imagenet.images.reader import verify_split
from tiny_imagenet.records.shards import plan_shards, write_task
from tiny_imagenet.records.splits import hold_out, load_dataset, shuffle_train

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder with a changed params.yaml and the output of an earlier run."""
    set_up(tmp_path, workers=1, shard_images=5)
    (tmp_path / "data" / "records").mkdir(parents=True)
    (tmp_path / "data" / "records" / "former").write_text("")
    return tmp_path


def set_up(directory: Path, **preprocess: Any) -> None:
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    params["preprocess"] |= preprocess
    (directory / "params.yaml").write_text(yaml.safe_dump(params))


def start(directory: Path, first_on_path: Path = REPOSITORY) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, REPOSITORY / "stages" / "preprocess.py"],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": f"{first_on_path}{os.pathsep}{REPOSITORY / 'src'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def preprocess(directory: Path, files: Mapping[str, bytes], first_on_path: Path = REPOSITORY) -> tuple[int, str, str]:
    write_archive(directory / "data" / "archive.zip", files)
    with start(directory, first_on_path) as process:
        out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def wait_for_worker(process: subprocess.Popen[str]) -> psutil.Process:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for child in psutil.Process(process.pid).children():
            if any("spawn_main" in part for part in child.cmdline()):
                return child
        time.sleep(0.02)
    raise AssertionError("no worker started")


def assert_untouched(directory: Path) -> None:
    assert [path.name for path in (directory / "data" / "records").iterdir()] == ["former"]
    assert not (directory / "reports").exists()


def test_three_workers_write_the_same_bytes_as_one_process(
    workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    set_up(workspace, workers=3, shard_images=5, holdout_per_class=2)
    status, out, err = preprocess(workspace, members())
    assert status == 0, err
    assert "Traceback" not in err
    assert "tiny-imagenet-200: 15 train, 6 val, 4 test, 6 holdout images of 16 x 16 pixels" in out
    records = workspace / "data" / "records"
    manifest = load_manifest(records)
    counts = {split: content.num_images for split, content in manifest.splits.items()}
    assert counts == {"train": 15, "val": 6, "test": 4, "holdout": 6}
    for split in manifest.splits:
        verify_split(records, manifest, split)
    with Archive(workspace / "data" / "archive.zip") as archive:
        dataset = shuffle_train(hold_out(load_dataset(archive), 2, seed=0), seed=0)
        alone = [write_task(archive, task).shard for task in plan_shards(dataset, 16, tmp_path_factory.mktemp("d"), 5)]
    assert [shard for content in manifest.splits.values() for shard in content.shards] == alone
    listed = {shard.name for content in manifest.splits.values() for shard in content.shards}
    assert {path.name for path in records.iterdir()} == listed | {"manifest.json"}
    assert sorted(path.name for path in (workspace / "data").iterdir()) == ["archive.zip", "records"]
    report = json.loads((workspace / "reports" / "data.json").read_text())
    assert report["splits"]["holdout"]["images_per_class"]["max"] == 2
    assert report["train_mean"] == list(manifest.train_mean)


def test_a_truncated_image_is_named_in_one_line(workspace: Path) -> None:
    files = members() | {"val/images/val_2.JPEG": jpeg(1)[:-30]}
    status, _, err = preprocess(workspace, files)
    assert status == 2
    assert err.splitlines()[-1].startswith(
        "error: preprocess: data/archive.zip: tiny/val/images/val_2.JPEG: is truncated or damaged"
    )
    assert "Traceback" not in err
    assert_untouched(workspace)


def test_a_missing_file_is_reported_without_tensorflow(workspace: Path) -> None:
    files = members()
    del files["val/val_annotations.txt"]
    (workspace / "blocked").mkdir()
    (workspace / "blocked" / "tensorflow.py").write_text("raise AssertionError('tensorflow was imported')")
    status, _, err = preprocess(workspace, files, workspace / "blocked")
    assert status == 2
    assert err.count("\n") == 1
    assert "val/val_annotations.txt: is missing" in err
    assert_untouched(workspace)


def test_a_killed_worker_is_reported_in_one_line(workspace: Path) -> None:
    write_archive(workspace / "data" / "archive.zip", members())
    with start(workspace) as process:
        wait_for_worker(process).kill()
        _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith("error: preprocess: workers: a worker process was killed")
    assert "Traceback" not in err
    assert_untouched(workspace)


def test_a_killed_stage_leaves_no_process(workspace: Path) -> None:
    write_archive(workspace / "data" / "archive.zip", members())
    with start(workspace) as process:
        worker = wait_for_worker(process)
        process.kill()
        worker.wait(timeout=10)
        process.communicate(timeout=10)
    assert_untouched(workspace)
