"""A debug run through train, evaluate and report: marked in each output, and not registered."""

import csv
import json
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from tests.support.synthetic_results import DATA_REPORT
from tests.support.tiny_records import DATASET, import_stage, shrunk_params, write_project


@pytest.fixture(scope="module")
def debugged(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A project after the stages of a debug run of two steps an epoch, in batches of 8."""
    report = shrunk_params()["report"] | {"champion": True}
    folder = tmp_path_factory.mktemp("debugged") / "project"
    write_project(folder, empty_store, debug={"steps": 2, "fraction": None, "overfit_batches": None}, report=report)
    (folder / "reports").mkdir()
    (folder / "reports" / "data.json").write_text(json.dumps(DATA_REPORT), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        import_stage("train").main("tiny")
        import_stage("evaluate").main("tiny")
    return folder


def read_json(path: Path) -> dict:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_its_run_has_the_limits_as_name_tag_and_parameter(debugged: Path) -> None:
    client = MlflowClient(f"sqlite:///{debugged / 'mlruns' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name(DATASET).experiment_id], "tags.debug != ''")
    assert (run.info.run_name, run.data.tags["debug"]) == ("tiny (debug)", "steps 2")
    assert {key: value for key, value in run.data.params.items() if "debug" in key} == {"debug.steps": "2"}


def test_its_files_have_the_limits(debugged: Path, trained: Path) -> None:
    training, normal = (read_json(folder / "metrics/tiny/training.json") for folder in (debugged, trained))
    assert training["debug"] == {"steps": 2}
    assert "debug" not in normal
    assert training["train_flops"] * 3 == normal["train_flops"] * 2  # steps an epoch
    metrics, others = (read_json(folder / "reports/metrics/tiny.json")["tiny"] for folder in (debugged, trained))
    assert (metrics["debug"], metrics.keys() - others.keys()) == (1, {"debug"})
    with (debugged / "metrics/tiny/history.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2


def test_its_report_says_so_and_registers_no_champion(
    debugged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(debugged)
    import_stage("report").main()
    assert "no champion: these are debug runs" in capsys.readouterr().out
    assert read_json(debugged / "reports/settings.json")["tiny"]["debug"] == {"steps": 2}
    for name in ("index.html", "card.md", "table.md"):
        assert "ebug run" in (debugged / "reports" / name).read_text(encoding="utf-8"), name
    client = MlflowClient(f"sqlite:///{debugged / 'mlruns' / 'mlflow.db'}")
    assert client.search_registered_models() == []
