import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tiny_imagenet.core.disk import disk_errors, file_errors, require_free_bytes, require_writable
from tiny_imagenet.core.errors import PipelineError


def os_error(number: int, path: Path | None = None) -> OSError:
    return OSError(number, os.strerror(number), *([] if path is None else [str(path)]))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def free_bytes(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(5000, 4000, 1000))
    return 1000


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.usefixtures("free_bytes")
def test_a_full_disk_names_the_file_and_both_sizes(path: Path, number: int) -> None:
    with pytest.raises(PipelineError) as caught, disk_errors(path, 2_000_000):
        raise os_error(number)
    assert str(caught.value) == f"{path}: needs 2,000,000 bytes, 1,000 are free; free some space"
    assert caught.value.exit_status == 1


def test_a_folder_without_permission_is_named(path: Path) -> None:
    with pytest.raises(PipelineError) as caught, disk_errors(path, 1):
        raise os_error(errno.EACCES)
    assert str(caught.value) == f"{path}: cannot be written: Permission denied; check the folder"


def test_a_missing_folder_is_an_error_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "file"
    with pytest.raises(PipelineError, match="cannot be written: No such file or directory"), disk_errors(path, 1):
        path.write_bytes(b"x")


@pytest.mark.parametrize("context", [disk_errors(Path("x"), 1), file_errors()])
def test_other_exceptions_pass_through(context) -> None:
    with pytest.raises(ZeroDivisionError), context:
        raise ZeroDivisionError


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("named", [True, False])
def test_a_full_disk_is_reported_for_any_file(path: Path, number: int, named: bool) -> None:
    with pytest.raises(PipelineError) as caught, file_errors():
        raise os_error(number, path if named else None)
    where = path if named else "disk"
    assert str(caught.value) == f"{where}: no space left on device; free some space (docs/operations.md)"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_the_error_of_a_real_full_device_is_recognized() -> None:
    full = Path("/dev/full")
    with pytest.raises(PipelineError, match="no space left"), file_errors(), full.open("w", buffering=1) as file:
        file.write("a line\n")


def test_other_os_errors_keep_their_type(path: Path) -> None:
    with pytest.raises(FileNotFoundError), file_errors():
        path.read_bytes()


def test_free_bytes_are_compared_with_the_needed(path: Path, free_bytes: int) -> None:
    require_free_bytes(path, free_bytes)
    require_free_bytes(path, -1)
    with pytest.raises(PipelineError, match="file: needs 1,001 bytes, 1,000 are free"):
        require_free_bytes(path, free_bytes + 1)


def test_a_folder_is_checked_before_the_work(tmp_path: Path) -> None:
    require_writable(tmp_path / "metrics" / "vgg")
    assert not list(tmp_path.rglob("*"))
    blocked = tmp_path / "models"
    blocked.write_text("a file in place of a folder")
    with pytest.raises(PipelineError, match=r"models/vgg: cannot be used: Not a directory; rename, move or remove it"):
        require_writable(tmp_path / "metrics", blocked / "vgg")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_of_another_user(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated: tests may run as a user who can write everywhere."""

    def refuse(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(PipelineError, match=f"{os.strerror(number)}; check its owner and permissions"):
        require_writable(tmp_path)
