"""What goes wrong, met through `dvc`: one line of ours, nothing half-written, and a way back."""

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
    """Runs `dvc repro`, which must fail, and returns our lines.

    Nothing may be left but earlier outputs, and what was `fetched`; the way back must lead to the committed outputs.
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
    """Makes a dataset `tiny`, with `source`, the one that params.yaml names."""
    project.edit_params(dataset="tiny", datasets={"tiny": source})


def test_a_key_that_does_not_exist(workspace, fails):
    params = workspace.params()
    params["models"][CHEAP]["dropuot"] = 0.1
    workspace.edit_params(**params)
    (line,) = fails()
    assert line == f"error: train: params.yaml: models.{CHEAP}: dropuot: unknown key; did you mean 'dropout'?"


def test_an_archive_that_is_not_there(workspace, fails):
    use_archive(workspace, content_sha256="0" * 64)
    (line,) = fails(TINY_IMAGENET_ARCHIVE="/nowhere/archive.zip")
    assert line.startswith("error: fetch: TINY_IMAGENET_ARCHIVE=/nowhere/archive.zip: no such file; ")


def test_an_archive_of_another_content(workspace, fails, tmp_path):
    archive = write_archive(tmp_path / "other.zip", members())
    use_archive(workspace, content_sha256="0" * 64)
    (line,) = fails(TINY_IMAGENET_ARCHIVE=str(archive))
    assert line.startswith(f"error: fetch: {archive}: ")
    assert "0" * 64 in line


def test_a_cut_image(workspace, fails, tmp_path):
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
        path.unlink()  # the cure
    assert executed(workspace.dvc("repro")) == []


def test_an_emptied_dvc_lock(workspace):
    (workspace.folder / "dvc.lock").write_text("")
    assert "'./dvc.lock' validation failed" in workspace.dvc("repro", fails=True)
    workspace.git("checkout", "dvc.lock")  # the cure
    assert executed(workspace.dvc("repro")) == []


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])  # DVC runs a stage by $SHELL
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_dvc_leaves_nothing_running_and_goes_on(workspace, number, shell):
    runs, epochs, stage = workspace.runs(), 12, f"train@{CHEAP}"
    seed = int(number) + len(shell)  # not a training that DVC has seen
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

    assert "going on from step" in workspace.dvc("repro", stage)
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
