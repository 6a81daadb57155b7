import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tiny_imagenet.core import process as process_handling
from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.process import Stopped, StopRequest, stage_process


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("a", "b", "c"), 2, "error: train: a: b; c\n"),
        (PipelineError("a", "b", "c"), 1, "error: train: a: b; c\n"),
        (Stopped("stopped at step 3"), 143, "train: stopped at step 3\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    capfd: pytest.CaptureFixture[str], error: Exception, status: int, line: str
) -> None:
    with pytest.raises(SystemExit) as ended, stage_process("train"):
        raise error
    assert ended.value.code == status
    assert capfd.readouterr() == ("", line)


def test_a_full_disk_is_one_line_for_any_file(capfd: pytest.CaptureFixture[str]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("the system has no /dev/full")
    with pytest.raises(SystemExit) as ended, stage_process("report"), full.open("w", buffering=1) as file:
        file.write("a line\n")
    assert ended.value.code == 1
    line = "error: report: disk: no space left on device; free some space (docs/operations.md)\n"
    assert capfd.readouterr() == ("", line)


@pytest.mark.parametrize("error", [ZeroDivisionError(), PermissionError(errno.EACCES, "denied", "x")])
def test_an_unexpected_error_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)), stage_process("train"):
        raise error


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_requests_a_stop(number: signal.Signals) -> None:
    stop = StopRequest()
    assert not stop()
    os.kill(os.getpid(), number)
    assert stop()


@pytest.mark.usefixtures("signals")
def test_a_second_ctrl_c_raises_at_once() -> None:
    stop = StopRequest()
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert stop()


def test_a_stage_ends_when_the_process_that_started_it_is_killed() -> None:
    stage = (
        "import time\n"
        "from tiny_imagenet.core.process import stage_process\n"
        "with stage_process('train'):\n"
        "    print('started', flush=True)\n"
        "    time.sleep(60)\n"
    )
    begin = f"subprocess.Popen([sys.executable, '-c', {stage!r}])"
    parent = f"import subprocess, sys; print({begin}.pid, flush=True); input()"
    environment = os.environ | {"PYTHONPATH": str(Path(process_handling.__file__).parents[2])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", parent], env=environment, text=True, **pipes) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        assert process.stdout.readline() == "started\n"
        process.kill()
        psutil.wait_procs([child], timeout=30)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
