"""The saved views of the UI against what a training and its evaluation log."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from tiny_imagenet.tracking.servers import ui_links
from tiny_imagenet.tracking.views import BEST_FIRST, GROUPED, TAG, TRAINING, view_link, views, write_views


def state(key: str) -> dict[str, Any]:
    return dict(json.loads(json.loads(views()[key])["state"]))


@pytest.fixture(scope="module")
def logged(trained: Path) -> dict[str, set[str]]:
    """The keys of the metrics, parameters and tags of a run that was evaluated."""
    (run,) = MlflowClient(f"sqlite:///{trained / 'mlruns' / 'mlflow.db'}").search_runs(["1"])
    return {"metrics": set(run.data.metrics), "params": set(run.data.params), "tags": set(run.data.tags)}


def test_each_column_is_logged(logged: dict[str, set[str]]) -> None:
    for column in [BEST_FIRST, *state(TRAINING)["selectedColumns"]]:
        kind, _, key = column.partition(".")
        assert key.strip("`") in logged[kind], column


def test_each_chart_is_of_a_logged_metric_and_in_a_section(logged: dict[str, set[str]]) -> None:
    sections = {each["uuid"] for each in state(TRAINING)["compareRunSections"]}
    for chart in state(TRAINING)["compareRunCharts"]:
        keys = {chart.get("metricKey"), *(chart[axis]["key"] for axis in ("xaxis", "yaxis") if axis in chart)}
        assert keys - {None} <= logged["metrics"], chart
        assert chart["metricSectionId"] in sections


def test_curves_come_first_and_the_other_metrics_are_folded() -> None:
    shown = {each["name"]: each["display"] for each in state(TRAINING)["compareRunSections"]}
    assert next(iter(shown)) == "Curves"
    assert not shown["Model metrics"]
    assert not shown["System metrics"]
    assert state(TRAINING)["compareRunCharts"][0]["type"] == "LINE"


def test_the_best_run_is_first_and_one_view_is_grouped() -> None:
    assert (state(TRAINING)["orderByKey"], state(TRAINING)["orderByAsc"]) == (BEST_FIRST, False)
    assert "groupBy" not in state(TRAINING)
    assert state(GROUPED)["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "dvc.experiment"}]


def test_an_evaluation_sets_the_views_and_equal_ones_are_left(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = MlflowClient(f"sqlite:///{trained / 'mlruns' / 'mlflow.db'}")
    tags = client.get_experiment("1").tags
    assert {key: tags[TAG + key] for key in views()} == views()
    monkeypatch.setattr(client, "set_experiment_tag", None)  # calling it is an error
    write_views(client, "1")


def test_the_links_open_the_views_of_the_newest_run(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "mlruns", tmp_path / "mlruns")
    uri = f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}"
    client = MlflowClient(uri)
    client.create_experiment("another, without runs")
    client.delete_experiment_tag("1", TAG + TRAINING)
    text = ui_links(uri, "http://127.0.0.1:5000")
    for key in (TRAINING, GROUPED):
        assert f"/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey={key}\n" in text
    assert client.get_experiment("1").tags[TAG + TRAINING] == views()[TRAINING]


def test_a_store_without_runs_says_what_logs_some(root: Path) -> None:
    assert "`make demo`" in ui_links(f"sqlite:///{root / 'mlruns' / 'mlflow.db'}", "http://127.0.0.1:5000")


def test_a_link_has_one_slash_after_the_address() -> None:
    link = view_link("http://127.0.0.1:5000/", "7", TRAINING)
    assert link.startswith("http://127.0.0.1:5000/#/experiments/7/runs?")
