import errno
import os
import signal
import subprocess
import sys
from multiprocessing.pool import ThreadPool
from pathlib import Path

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


@pytest.mark.parametrize(
    ("number", "todo"),
    [
        (errno.EACCES, "check its owner and permissions"),
        (errno.EROFS, "check its owner and permissions"),
        (errno.ENAMETOOLONG, "rename, move or remove it"),
        (errno.ENOTDIR, "rename, move or remove it"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(capfd: pytest.CaptureFixture[str], number: int, todo: str) -> None:
    with pytest.raises(SystemExit) as ended, stage_process("report"):
        raise OSError(number, os.strerror(number), "reports/table.md")
    assert ended.value.code == 1
    line = f"error: report: reports/table.md: cannot be used: {os.strerror(number)}; {todo}\n"
    assert capfd.readouterr() == ("", line)


@pytest.mark.parametrize("error", [ZeroDivisionError(), FileNotFoundError(errno.ENOENT, "missing", "x"), OSError("x")])
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


@pytest.mark.usefixtures("signals")
def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = StopRequest()
    os.kill(os.getpid(), signal.SIGHUP)
    assert not stop()


STAGE = """
import sys, time
from tiny_imagenet.core import process
process.PARENT_CHECK_SECONDS = 0.05
with process.stage_process("train"):
    print("started", flush=True)
    sys.stdin.readline()
    time.sleep(1)
    print("finished", flush=True)
"""


@pytest.mark.parametrize(
    ("variables", "out", "err"),
    [
        ({"DVC_STAGE": "train@vgg"}, "", "train@vgg: stopping, since dvc (process {pid}) has ended\n"),
        ({}, "finished\n", ""),
    ],
)
def test_a_stage_ends_with_its_parent_if_that_is_dvc(variables: dict[str, str], out: str, err: str) -> None:
    """Started by hand, it goes on: its shell may end, as at log-out or after `nohup ... &`."""
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STAGE!r}]); input()"
    environment = os.environ | variables | {"PYTHONPATH": str(Path(process_handling.__file__).parents[2])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", parent], env=environment, text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.kill()
        assert process.communicate("go on\n", timeout=60) == (out, err.format(pid=process.pid))  # until the stage ends


COMMAND = """
import socket, sys
from tiny_imagenet.core.process import command_process, stage_process
with {process}("predict"):
    {body}
print("went on", file=sys.stderr)
"""


def run_command(process: str, body: str, **streams: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(process_handling.__file__).parents[2])}
    words = [sys.executable, "-c", COMMAND.format(process=process, body=body)]
    return subprocess.run(words, env=environment, text=True, check=False, **streams)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("process", "body", "status", "err"),
    [
        ("command_process", "print('an answer', flush=True); print('work', file=sys.stderr)", 141, ""),
        ("command_process", "print('an answer')", 141, ""),  # which is written at the end
        ("command_process", "print('a' * 1_000_000); print('work', file=sys.stderr)", 141, ""),
        ("stage_process", "print('a line', flush=True); print('work', file=sys.stderr)", 0, "work\nwent on\n"),
        ("stage_process", "print('a line')", 0, "went on\n"),
    ],
)
def test_a_reader_that_is_gone_ends_a_command_quietly_and_no_stage(
    process: str, body: str, status: int, err: str
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = run_command(process, body, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (result.returncode, result.stderr) == (status, err)


def test_a_server_that_closes_the_connection_does_not_end_a_command_without_a_word() -> None:
    body = "a, b = socket.socketpair(); b.close(); a.send(b'x')"
    result = run_command("command_process", body, capture_output=True)
    assert result.returncode == 1
    assert "BrokenPipeError" in result.stderr


def test_a_stage_leaves_no_thread_pool_open() -> None:
    pool = ThreadPool(1)
    with stage_process("train"):
        assert pool.apply(abs, (-1,)) == 1
    with pytest.raises(ValueError, match="not running"):
        pool.apply(abs, (-1,))
    pool.join()
