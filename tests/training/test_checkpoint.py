"""Checkpoints survive kills and damage; their folder is named by the run and by the code."""

import errno
import io
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.tiny_records import REPOSITORY

from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.training.checkpoint import CheckpointStore, code_digest, state_key


class Killed(BaseException):
    """Stands for a SIGKILL: nothing catches it on the way."""


def arrays(number: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(number)
    return {"variable_0": rng.normal(size=(3, 4)).astype(np.float32), "variable_1": np.array(number, np.int64)}


def assert_holds(store: CheckpointStore, number: int) -> None:
    found = store.load()
    assert found is not None
    loaded, metadata = found
    assert metadata == {"number": number, "ratio": 1 / 3}
    assert loaded.keys() == arrays(number).keys()
    for name, array in arrays(number).items():
        assert (loaded[name].dtype, loaded[name].tobytes()) == (array.dtype, array.tobytes())


def save(store: CheckpointStore, number: int) -> None:
    store.save(arrays(number), {"number": number, "ratio": 1 / 3})


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    """With two checkpoints, 1 and 2."""
    store = CheckpointStore(tmp_path / "checkpoints" / "vgg")
    save(store, 1)
    save(store, 2)
    return store


def test_the_latest_checkpoint_is_restored_bit_for_bit(store: CheckpointStore) -> None:
    assert_holds(store, 2)
    assert len(list(store.directory.iterdir())) == 2
    store.latest.unlink()
    assert_holds(store, 1)


def test_load_returns_none_before_the_first_save_and_after_removal(store: CheckpointStore, tmp_path: Path) -> None:
    assert CheckpointStore(tmp_path / "none").load() is None
    store.remove()
    assert store.load() is None
    assert not store.directory.exists()
    store.remove()


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
def test_a_kill_at_any_moment_of_a_save_leaves_a_checkpoint(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Kills before and after each of the three operations: the fsync and the two renames."""
    calls = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == number:
                raise Killed
            result = call(*args, **kwargs)
            calls += 1
            if calls == number:
                raise Killed
            return result

        return wrapper

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", counted(os.fsync))
        patch.setattr(Path, "replace", counted(Path.replace))
        with pytest.raises(Killed):
            save(store, 3)
    assert_holds(store, 3 if number == 6 else 2)
    save(store, 4)
    assert_holds(store, 4)
    assert len(list(store.directory.iterdir())) == 2


def test_an_incomplete_temporary_file_is_not_read(store: CheckpointStore) -> None:
    (store.directory / "checkpoint.tmp").write_bytes(store.latest.read_bytes()[:100])
    assert_holds(store, 2)


def cut_anywhere(data: bytes) -> list[bytes]:
    return [data[:end] for end in range(0, len(data), 7)]


def flip_bits_of_the_content(data: bytes) -> list[bytes]:
    at = data.index(arrays(2)["variable_0"].tobytes())
    return [data[: at + i] + bytes([data[at + i] ^ 1 << i % 8]) + data[at + i + 1 :] for i in range(48)]


def garbage(data: bytes) -> list[bytes]:
    return [b"garbage" * 50, os.urandom(len(data)), bytes(len(data))]


def pickles(_: bytes) -> list[bytes]:
    file = io.BytesIO()
    np.savez(file, metadata=np.array([{}], object))
    return [pickle.dumps({"metadata": 1}), file.getvalue()]


@pytest.mark.parametrize("spoil", [cut_anywhere, flip_bits_of_the_content, garbage, pickles])
def test_a_damaged_checkpoint_is_skipped_with_a_warning(
    store: CheckpointStore, capsys: pytest.CaptureFixture[str], spoil: Callable[[bytes], list[bytes]]
) -> None:
    for data in spoil(store.latest.read_bytes()):
        store.latest.write_bytes(data)
        assert_holds(store, 1)
        warning = capsys.readouterr().err
        assert warning.startswith(f"warning: {store.latest}: damaged (")
        assert warning.endswith("the previous one is used\n")


def test_load_returns_none_if_both_are_damaged(store: CheckpointStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.latest.write_bytes(b"")
    store.previous.write_bytes(b"")
    assert store.load() is None
    assert capsys.readouterr().err.count("warning") == 2


def test_pickles_are_neither_read_nor_written(store: CheckpointStore, tmp_path: Path) -> None:
    created = tmp_path / "created"

    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(created),)

    file = io.BytesIO()
    np.savez(file, metadata=np.array([Malicious()], object))
    store.latest.write_bytes(file.getvalue())
    assert_holds(store, 1)
    assert not created.exists()
    with pytest.raises(ValueError, match="allow_pickle=False"):
        store.save({"variable_0": np.array([{}], object)}, {})


def test_a_full_disk_is_an_error_and_leaves_the_checkpoints(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    save(store, 1)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PipelineError, match=r"checkpoint.npz: needs 56 bytes, [\d,]+ are free; free some space"):
        save(store, 2)
    assert_holds(store, 1)
    assert not list(store.directory.glob("*.tmp"))


def test_the_key_differs_by_the_runs_digest() -> None:
    assert state_key("a") == state_key("a")
    assert state_key("a") != state_key("b")


CODE = """
import tiny_imagenet.core.errors, tiny_imagenet.dataset.classes
from tiny_imagenet.training.checkpoint import code_digest, state_key
print(state_key("run"), code_digest())
"""


@pytest.mark.parametrize(
    ("module", "changes_key", "changes_digest"),
    [
        ("dataset/classes.py", True, True),
        ("models/vgg.py", False, True),  # not loaded
        ("core/errors.py", False, False),  # loaded, and without effect on a result
        ("tracking/runs.py", False, False),
    ],
)
def test_keys_cover_the_code_that_can_change_a_result(
    tmp_path: Path, module: str, changes_key: bool, changes_digest: bool
) -> None:
    def digests(source: Path) -> list[str]:
        environment = os.environ | {"PYTHONPATH": str(source)}
        command = [sys.executable, "-c", CODE]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()

    source = REPOSITORY / "src"
    shutil.copytree(source / "tiny_imagenet", tmp_path / "tiny_imagenet", ignore=shutil.ignore_patterns("__pycache__"))
    key, digest = digests(source)
    assert digests(tmp_path) == [key, digest]  # independent of the folder
    with (tmp_path / "tiny_imagenet" / module).open("a") as file:
        file.write("# a change\n")
    changed_key, changed_digest = digests(tmp_path)
    assert (changed_key != key, changed_digest != digest) == (changes_key, changes_digest)
    assert digest == code_digest()


TRAINING = """
import sys
from pathlib import Path
from tiny_imagenet.training.checkpoint import CheckpointStore

store = CheckpointStore(Path(sys.argv[1]))
found = store.load()
print(found and found[1], store.directory.name, flush=True)
sys.stdin.readline()
store.save({}, {"step": 7})
store.remove()
"""


def test_two_processes_with_equal_inputs_both_end_well(tmp_path: Path) -> None:
    """Each has its own checkpoints: neither removes those of the other."""
    folder = tmp_path / "vgg-0123"
    store = CheckpointStore(folder)
    assert store.load() is None
    store.save({}, {"step": 1})
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", TRAINING, str(folder)], env=environment, text=True, **pipes) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "None vgg-0123-2\n"
        store.save({}, {"step": 2})
        _, err = other.communicate("go on\n", timeout=60)
    assert other.returncode == 0, err
    assert "vgg-0123: another process trains the same; " in err
    assert {path.name for path in tmp_path.iterdir()} == {".vgg-0123.lock", "vgg-0123"}
    found = store.load()
    assert found is not None
    assert found[1] == {"step": 2}
    store.remove()
    assert not list(tmp_path.iterdir())


def test_a_training_that_ends_before_its_first_checkpoint_leaves_nothing(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints" / "vgg")
    assert store.load() is None
    del store
    assert not list((tmp_path / "checkpoints").iterdir())
