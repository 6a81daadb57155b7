"""A copy of the working tree with the demo's parameters, in its own git repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import yaml
from dvc.repo import Repo
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from tiny_imagenet.tracking.trained_runs import MODEL_SHA256

REPOSITORY = Path(__file__).parents[2]
PARAMS = REPOSITORY / "demo" / "params.yaml"
NAMES = tuple(yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["models"])
CHEAP = "logistic_regression"  # the model that extra experiments train
FOREIGN = (
    "DVC_",
    "GIT_",
    "MAKE",
    "MFLAGS",
    "MLFLOW_",
    "TINY_IMAGENET_",
)  # variables of the caller's shell that the copy must not inherit
LEFT_OUT = ("dvc.lock", "metrics/", "reports/")  # results on Tiny ImageNet; the copy is for the digits


class Project:
    """A copy of the working tree.

    Args:
        folder: A new folder for the copy. It gets the files that git does not ignore, committed or not.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "mlruns"
        own = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        person = {"NAME": "Test", "EMAIL": "test@localhost"}
        self.environment = own | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()},
            "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
        }
        for name in self._files_of(REPOSITORY):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
        shutil.copy2(PARAMS, folder / "params.yaml")
        self.git("init", "--quiet")
        self.commit("The working tree")

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Starts a command in the copy."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str, fails: bool = False, timeout: float = 900, **environment: str) -> str:
        """Runs a command and returns what it printed, stdout before stderr.

        Args:
            command: Its words.
            fails: Expect a nonzero exit status.
            timeout: Seconds until it is killed.
            environment: Variables to add.
        """
        with self.start(*command, **environment) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                end_tree(process.pid)
                raise
        assert (process.returncode != 0) is fails, f"{' '.join(command)}: exit {process.returncode}\n{out}\n{err}"
        return out + err

    def dvc(self, *arguments: str, **options: Any) -> str:
        """Runs `dvc`."""
        return self.run("dvc", *arguments, **options)

    def dvc_json(self, *arguments: str) -> Any:
        """Runs a `dvc` command that prints JSON, and returns it parsed."""
        return json.loads(self.dvc(*arguments))

    def git(self, *arguments: str) -> str:
        """Runs `git`."""
        return self.run("git", *arguments)

    def commit(self, message: str) -> None:
        """Commits all files that git does not ignore."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def changes(self) -> list[str]:
        """Returns the paths that `git status` lists: changed and untracked files."""
        return [line[3:] for line in self.git("status", "--porcelain", "--untracked-files=all").splitlines()]

    def restore(self) -> None:
        """Restores the last commit and its DVC outputs."""
        self.git("reset", "--quiet", "--hard")
        self.git("clean", "--quiet", "--force", "-d")
        config = {"core": {"site_cache_dir": self.environment["DVC_SITE_CACHE_DIR"]}}
        with Repo(str(self.folder), config=config) as repo:  # in this process: it is done after many tests
            repo.checkout(force=True)

    def edit_params(self, **changes: Any) -> None:
        """Changes top-level keys of params.yaml."""
        path = self.folder / "params.yaml"
        params = yaml.safe_load(path.read_text(encoding="utf-8")) | changes
        path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")

    def params(self) -> dict[str, Any]:
        """Reads params.yaml."""
        return dict(yaml.safe_load((self.folder / "params.yaml").read_text(encoding="utf-8")))

    def json(self, name: str) -> Any:
        """Reads a JSON file."""
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def contents(self, *folders: str) -> dict[str, bytes]:
        """Returns the content of all files in some folders, by path."""
        paths = [path for folder in folders for path in sorted((self.folder / folder).rglob("*")) if path.is_file()]
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths}

    def client(self) -> MlflowClient:
        """Opens the tracking store of the copy."""
        return MlflowClient(f"sqlite:///{self.store / 'mlflow.db'}")

    def runs(self) -> dict[str, Run]:
        """Returns the runs in the tracking store, oldest first, by run id."""
        client = self.client()
        found = client.search_runs([item.experiment_id for item in client.search_experiments()])
        return {run.info.run_id: run for run in sorted(found, key=lambda run: run.info.start_time)}

    def run_of(self, model: str) -> Run:
        """Returns the MLflow run that trained a model, the newest of equal trainings."""
        digest = self.json(f"metrics/{model}/training.json")["model_sha256"]
        return [run for run in self.runs().values() if run.data.tags.get(MODEL_SHA256) == digest][-1]

    def _files_of(self, repository: Path) -> list[str]:
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout.split("\0")
        return [name for name in names if name and not name.startswith(LEFT_OUT) and (repository / name).is_file()]


def executed(output: str) -> list[str]:
    """Returns the stages in the order in which `dvc` ran them."""
    return re.findall(r"^Running stage '([^']+)'", output, re.MULTILINE)


def processes(folder: Path, word: str) -> list[psutil.Process]:
    """Returns the processes that work in a folder and have an argument that starts with `word`."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) == folder and any(item.startswith(word) for item in process.cmdline()):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def end_tree(pid: int) -> None:
    """Kills a process and its descendants."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def finish_queue(project: Project, timeout: float = 1800) -> None:
    """Waits until all experiments of the queue have succeeded, then ends its worker."""
    try:
        deadline = time.monotonic() + timeout
        while re.search("Queued|Running", status := project.dvc("queue", "status")):
            assert time.monotonic() < deadline, status
            time.sleep(5)
        assert "Failed" not in status, status
    finally:
        for process in processes(project.folder, "queue-worker"):
            end_tree(process.pid)
