"""The stage, run on synthetic results of the other stages."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.support.synthetic_results import training, write_project

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.tracking.runs import TrackedRun

ROOT = Path(__file__).parents[2]
EVIL = "<script>alert(1)</script>, evil"


def run_here(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Runs the stage in this process: TensorFlow is imported once for all tests."""
    spec = importlib.util.spec_from_file_location("report_stage", ROOT / "stages" / "report.py")
    assert spec is not None
    assert spec.loader is not None
    stage = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stage)
    patch.chdir(folder)
    stage.main()


def report(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "stages" / "report.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    examples = {"examples": ["ONE", "unicorn", "evil"]}
    write_project(folder, ["zero", "one, uno", EVIL], {"vgg": 40, "simple_cnn": 1}, report=examples)
    leftover = folder / "reports" / ".new" / "figures"
    leftover.mkdir(parents=True)
    (leftover / "old.svg").touch()
    (folder / "reports" / ".gitignore").write_text("/index.html\n")
    with pytest.MonkeyPatch.context() as patch:
        run_here(folder, patch)
    return folder


def test_writes_every_output(project: Path) -> None:
    assert set(contents(project / "reports")) == {
        ".gitignore",
        "card.md",
        "data.json",
        "index.html",
        "history.csv",
        "results.json",
        "settings.json",
        "table.md",
        *(f"figures/{name}.svg" for name in ("accuracy", "compute")),  # without a store, no training time is known
        *(f"figures/curves-{name}.svg" for name in ("vgg", "simple_cnn")),
        *(f"figures/{kind}-{name}.svg" for kind in ("architecture", "calibration") for name in ("vgg", "simple_cnn")),
        *(f"pictures/{name}.png" for name in ("augmentation", "example-1", "example-2")),
    }
    assert [row["model"] for row in json.loads((project / "reports/results.json").read_text())] == ["vgg", "simple_cnn"]


def test_the_page_escapes_names_and_needs_nothing_from_outside(project: Path) -> None:
    page = (project / "reports" / "index.html").read_text(encoding="utf-8")
    assert EVIL.split(",")[0] not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    tags: list[str] = []
    links: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            links.extend(value or "" for key, value in attrs if key in ("src", "href", "xlink:href"))

    Reader().feed(page)
    assert {"svg", "table", "details"} <= set(tags)
    assert all(link.startswith(("#", "data:")) for link in links)
    assert not re.findall(r"@import|url\((?!#)", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_page_names_short_trainings_and_examples_without_a_class(project: Path) -> None:
    page = (project / "reports" / "index.html").read_text(encoding="utf-8")
    assert "simple_cnn: 1 of its recipe’s 40 epochs" in page
    assert "no class of this dataset: unicorn" in page


def test_a_second_run_prints_the_table_and_writes_the_same_bytes(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(project / "reports")
    run_here(project, monkeypatch)
    assert contents(project / "reports") == before
    printed = capsys.readouterr().out
    assert printed.startswith("model ")
    assert "1 of 40 *" in printed


def test_a_missing_result_is_named_and_the_old_report_stays(project: Path) -> None:
    before = contents(project / "reports")
    path = project / "metrics" / "simple_cnn" / "evaluation.json"
    held = path.read_text()
    path.unlink()
    ran = report(project)
    path.write_text(held)
    assert ran.returncode == 2
    path = "metrics/simple_cnn/evaluation.json"
    assert ran.stderr == f"error: report: {path}: no results of the model 'simple_cnn'; run `dvc repro`\n"
    assert contents(project / "reports") == before


def test_damaged_predictions_are_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project / "metrics" / "vgg" / "predictions.npz"
    held = path.read_bytes()
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"metrics/vgg/predictions\.npz: results of the model 'vgg': cannot be read"):
        run_here(project, monkeypatch)
    path.write_bytes(held)


def test_results_on_the_hold_out_have_a_note_and_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project(tmp_path, ["zero", "one"], {"vgg": 5}, splits=("train", "holdout"))
    path = tmp_path / "metrics" / "vgg" / "evaluation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"split": "holdout"}))
    run_here(tmp_path, monkeypatch)
    for name in ("index.html", "table.md"):
        assert "Scored on the hold-out" in (tmp_path / "reports" / name).read_text(encoding="utf-8")


def test_a_champion_needs_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    champion = {"examples": ["one"], "champion": True}
    write_project(tmp_path, ["zero", "one"], {"vgg": 5}, report=champion)
    with pytest.raises(PipelineError, match="vgg: its MLflow run: is not in the store with its model; train it again"):
        run_here(tmp_path, monkeypatch)


def test_the_training_time_is_that_of_the_run_with_the_models_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path
) -> None:
    write_project(tmp_path, ["zero", "one"], {"vgg": 5, "simple_cnn": 5})
    shutil.copytree(empty_store, tmp_path / "mlruns")
    record = training("vgg", epochs=5)
    with TrackedRun(tmp_path, record, stage="train@vgg") as run:
        run.log_result(record.model_sha256, 75.0)
    run_here(tmp_path, monkeypatch)
    rows = json.loads((tmp_path / "reports/results.json").read_text())
    assert {row["model"]: row["train_seconds"] for row in rows} == {"vgg": 75.0, "simple_cnn": None}
    assert (tmp_path / "reports/figures/time.svg").exists()
