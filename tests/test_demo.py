"""The demo's copy of the pipeline, and its parameters."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from demo import run
from demo.run import make_copy, repro

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.params import load_params

ROOT = Path(__file__).parents[1]
DEMO, MAIN = load_params(ROOT / "demo" / "params.yaml"), load_params(ROOT / "params.yaml")
DVC = f"""#!{sys.executable}
import os, sys, time
try:
    print(os.environ["MLFLOW_TRACKING_URI"], flush=True)
    time.sleep(60 if "WAIT" in os.environ else 0)
except KeyboardInterrupt:
    print("dvc saved its state")
    sys.exit(252)
"""
COPIED = {"dvc.yaml", "params.yaml", ".dvcignore", ".dvc", "src", "stages"}


@pytest.fixture
def checkout(tmp_path):
    """A checkout without git, at a path with special characters, with CRLF line endings and files of a user."""
    folder = tmp_path / "a b %20 #1 50%?x=y"
    for name in ("demo", "src", "stages", ".dvc/plots"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("dvc.yaml", "demo/params.yaml"):
        path = folder / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (folder / "params.yaml").write_text("not: [the demo's")
    (folder / "holiday.jpg").write_bytes(b"a picture")
    (folder / ".dvc" / "config").write_text("[core]\n    remote = elsewhere\n")
    return folder


def test_the_copy_has_code_and_parameters_and_nothing_else(checkout):
    copy = checkout / ".demo"
    (copy / "reports").mkdir(parents=True)  # left by an earlier demo
    make_copy(checkout, copy)
    assert {path.name for path in copy.iterdir()} == COPIED
    assert not [*copy.rglob("__pycache__"), *copy.rglob("*.jpg"), *copy.rglob("*.egg-info")]
    assert load_params(copy / "params.yaml") == DEMO
    assert "remote" not in (copy / ".dvc" / "config").read_text()


def test_a_link_is_refused_and_its_folder_is_kept(checkout, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    (checkout / ".demo").symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match=r"\.demo: is a link; remove it"):
        make_copy(checkout, checkout / ".demo")
    assert (tmp_path / "other" / "file").exists()


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Puts a program in the place of dvc, which prints the address of the store."""
    path = tmp_path / "bin" / "dvc"
    path.parent.mkdir()
    path.write_text(DVC)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(path.parent), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))


@contextmanager
def running_demo(checkout):
    """Starts the demo, as a terminal does, up to the start of dvc; ends it with Ctrl-C."""
    command = [sys.executable, checkout / "demo" / "run.py"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = os.environ | {"WAIT": "1"}
    with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as process:
        assert process.stdout.readline().startswith("sqlite:")
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)


@pytest.mark.usefixtures("stub")
def test_ctrl_c_lets_dvc_end_and_leaves_no_traceback(checkout):
    with running_demo(checkout) as process:
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate(timeout=60) == ("dvc saved its state\n", "")
    assert process.returncode == 252


@pytest.mark.usefixtures("signals")
def test_ctrl_c_before_dvc_is_one_line(tmp_path, monkeypatch, capfd):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "make_copy", interrupt)
    with pytest.raises(SystemExit) as ended:
        run.main()
    assert ended.value.code == 130
    assert capfd.readouterr() == ("", "demo: interrupted\n")


@pytest.mark.usefixtures("stub")
def test_a_second_demo_leaves_the_first_alone(checkout):
    with running_demo(checkout):
        (checkout / ".demo" / "result").touch()
        second = subprocess.run([sys.executable, checkout / "demo" / "run.py"], capture_output=True, text=True)
        assert second.returncode == 2
        assert second.stderr == "error: demo: .demo: another `make demo` runs there; wait for its end\n"
        assert (checkout / ".demo" / "result").exists()
    after = subprocess.run([sys.executable, checkout / "demo" / "run.py"], capture_output=True, text=True)
    assert (after.returncode, after.stderr) == (0, "")


@pytest.mark.usefixtures("stub", "signals")
@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("", "sqlite:///../mlruns/mlflow.db"),
        ("sqlite:///x.db", "sqlite:///../x.db"),
        ("sqlite+pysqlite:///a/x.db?timeout=3", "sqlite+pysqlite:///../a/x.db?timeout=3"),
        ("sqlite:////x.db", "sqlite:////x.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///", "sqlite:///"),
        ("https://example.org/x.db", "https://example.org/x.db"),
    ],
)
def test_a_relative_store_is_that_of_the_checkout(tmp_path, monkeypatch, capfd, named, found):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", named)
    assert repro(tmp_path) == 0
    assert capfd.readouterr().out == f"{found}\n"


def test_dvc_knows_every_stage_of_the_copy(checkout):
    make_copy(checkout, checkout / ".demo")
    command = [sys.executable, "-m", "dvc", "stage", "list", "--name-only"]
    done = subprocess.run(command, cwd=checkout / ".demo", capture_output=True, text=True, check=True)
    each = [f"{stage}@{name}" for stage in ("train", "evaluate") for name in DEMO.models]
    assert sorted(done.stdout.split()) == sorted(["fetch", "preprocess", *each, "report"])


def test_the_demo_trains_every_architecture_and_recipe_of_the_models():
    """Copies with another seed are left out, and so is `hour`: the code of `minutes`, with more to compute."""
    assert {model.architecture for model in DEMO.models.values()} == {
        model.architecture for model in MAIN.models.values()
    }
    for name, model in DEMO.models.items():
        main = MAIN.models[name]
        assert (model.architecture, model.recipe, model.arguments) == (main.architecture, main.recipe, main.arguments)


def test_the_recipes_differ_from_those_of_params_yaml_in_lr_epochs_and_batch_size_alone():
    changed = {"lr", "epochs", "batch_size", "recipe_epochs", "dataset"}
    for name, model in DEMO.models.items():
        assert model.model_dump(exclude=changed) == MAIN.models[name].model_dump(exclude=changed)
