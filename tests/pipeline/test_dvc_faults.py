"""Faults under `dvc repro`: a one-line error, no partial output, and a documented recovery."""

import signal
import time

import pytest
from tests.support.project import CHEAP, executed, processes
from tests.support.tiny_archive import jpeg, members, write_archive

from tiny_imagenet.archive.verification import content_fingerprint

pytestmark = pytest.mark.pipeline

OUTPUTS = ("data", "models", "metrics", "reports")


@pytest.fixture
def fails(workspace):
    """Returns a function that runs `dvc repro`, which must fail, and returns its `error:` lines.

    It checks that no output is left but unchanged ones and the path `fetched`, and that the documented recovery
    restores all of them.
    """
    before = workspace.contents(*OUTPUTS)

    def fails(fetched=None, **environment):
        output = workspace.dvc("repro", fails=True, **environment)
        assert "Traceback" not in output
        left = workspace.contents(*OUTPUTS)  # DVC removes a stage's outputs before it runs
        assert not [path for path in left if before.get(path) != left[path] and path != fetched]
        workspace.restore()
        assert workspace.contents(*OUTPUTS) == before
        return [line for line in output.splitlines() if line.startswith("error:")]

    return fails


def use_archive(project, **source):
    """Makes params.yaml name a dataset `tiny` with this source."""
    project.edit_params(dataset="tiny", datasets={"tiny": source})


def test_a_key_that_does_not_exist(workspace, fails):
    params = workspace.params()
    params["models"][CHEAP]["dropuot"] = 0.1
    workspace.edit_params(**params)
    (line,) = fails()
    assert line == f"error: train: params.yaml: models.{CHEAP}: dropuot: unknown key; did you mean 'dropout'?"


def test_a_missing_archive(workspace, fails):
    use_archive(workspace, content_sha256="0" * 64)
    (line,) = fails(TINY_IMAGENET_ARCHIVE="/nowhere/archive.zip")
    assert line.startswith("error: fetch: TINY_IMAGENET_ARCHIVE=/nowhere/archive.zip: no such file; ")


def test_an_archive_with_another_content(workspace, fails, tmp_path):
    archive = write_archive(tmp_path / "other.zip", members())
    use_archive(workspace, content_sha256="0" * 64)
    (line,) = fails(TINY_IMAGENET_ARCHIVE=str(archive))
    assert line.startswith(f"error: fetch: {archive}: ")
    assert "0" * 64 in line


def test_a_truncated_image(workspace, fails, tmp_path):
    name = "val/images/val_1.JPEG"
    archive = write_archive(tmp_path / "cut.zip", members() | {name: jpeg(5001)[:-100]})
    use_archive(workspace, content_sha256=content_fingerprint(archive))
    (line,) = fails(fetched="data/archive.zip", TINY_IMAGENET_ARCHIVE=str(archive))
    assert line.startswith("error: preprocess: ")
    assert name in line


@pytest.mark.parametrize("content", ["", '{"write": {"models'])
def test_a_damaged_rwlock(workspace, content):
    path = workspace.folder / ".dvc/tmp/rwlock"
    path.write_text(content)
    try:
        assert ".dvc/tmp/rwlock" in workspace.dvc("status", fails=True)
    finally:
        path.unlink()  # the documented fix
    assert executed(workspace.dvc("repro")) == []


def test_an_emptied_dvc_lock(workspace):
    (workspace.folder / "dvc.lock").write_text("")
    assert "'./dvc.lock' validation failed" in workspace.dvc("repro", fails=True)
    workspace.git("checkout", "dvc.lock")  # the documented fix
    assert executed(workspace.dvc("repro")) == []


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])  # DVC runs a stage by $SHELL
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_dvc_leaves_no_process_and_resumes(workspace, number, shell):
    runs, epochs, stage = workspace.runs(), 12, f"train@{CHEAP}"
    seed = int(number) + len(shell)  # a training that is not in DVC's run-cache
    workspace.edit_params(epochs=epochs, batch_size=2, seed=seed)
    with workspace.start("dvc", "repro", stage, SHELL=shell) as dvc:
        try:
            wait_for(lambda: list(workspace.folder.glob(".checkpoints/*/checkpoint.npz")), 300)
            assert f"(PID {dvc.pid})" in workspace.dvc("repro", stage, fails=True)  # a second one at the same time
            dvc.send_signal(number)
            dvc.wait()
            wait_for(lambda: not processes(workspace.folder, "stages/"), 10)
        finally:
            dvc.kill()
            for process in processes(workspace.folder, "stages/"):
                process.kill()
    (killed,) = [run for run_id, run in workspace.runs().items() if run_id not in runs]
    assert killed.info.status == "KILLED"

    assert "resuming from step" in workspace.dvc("repro", stage)
    (run,) = [run for run_id, run in workspace.runs().items() if run_id not in runs]
    assert (run.info.run_id, run.info.status) == (killed.info.run_id, "FINISHED")
    assert [point.step for point in workspace.client().get_metric_history(run.info.run_id, "loss")] == [
        *range(1, epochs + 1)
    ]
    assert (workspace.folder / f"metrics/{CHEAP}/history.csv").read_text().count("\n") == epochs + 1
    assert not list(workspace.folder.glob(".checkpoints/*"))


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
