"""Saved views of an experiment in MLflow's UI: columns, order, grouping and charts of its runs.

The UI reads a view from an experiment's tag. The keys are those of its own saved views in MLflow 3.17.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlflow.tracking import MlflowClient

from tiny_imagenet.scoring.metrics import STEP_METRICS
from tiny_imagenet.tracking.trained_runs import TRAIN_SECONDS

TAG = "mlflow.sharedViewState."  # before a view's key
TRAINING, GROUPED = "training", "dvc-experiments"
TOP_1, LOSS, PARAMETERS = "final_val_top_1_accuracy", "final_val_loss", "num_parameters"
# Columns and their widths in pixels: as narrow as their content, so that all are seen at once.
WIDTHS = {
    f"metrics.`{TOP_1}`": 170,
    f"metrics.`{LOSS}`": 110,
    f"metrics.`{TRAIN_SECONDS}`": 105,
    f"metrics.`{PARAMETERS}`": 120,
    "params.`recipe`": 75,
    "params.`epochs`": 70,
    "params.`lr`": 65,
    "params.`batch_size`": 95,
    "params.`seed`": 70,
    "tags.`evaluation.split`": 120,
}
WIDTHS_OF_ALL = {"attributes.`Run Name`": 210, "runDateAndNestInfo": 130} | WIDTHS  # and the columns always shown
CHARTS = (TOP_1, "final_val_top_5_accuracy", LOSS, TRAIN_SECONDS, "train_flops")
BEST_FIRST = f"metrics.`{TOP_1}`"
CURVES, RESULTS, CONFUSION = "Curves", "Final results and cost", "Confusion matrices"
MORE, SYSTEM = "Model metrics", "System metrics"  # the UI's sections of the metrics without a chart of their own
CREATED = 0  # time of a view: equal views are equal tags


def write_views(client: MlflowClient, experiment_id: str) -> None:
    """Sets the views of an experiment that differ from those it has.

    Raises:
        MlflowException: The store refuses them.
    """
    tags = client.get_experiment(experiment_id).tags
    for key, view in views().items():
        if tags.get(TAG + key) != view:
            client.set_experiment_tag(experiment_id, TAG + key, view)


def views() -> dict[str, str]:
    """Returns the views by key, in the UI's format."""
    groups = {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "dvc.experiment"}]}
    return {
        TRAINING: _envelope("Training runs, best first", _state()),
        GROUPED: _envelope("By DVC experiment", _state() | {"groupBy": groups, "useGroupedValuesInCharts": False}),
    }


def view_link(address: str, experiment_id: str, key: str) -> str:
    """Returns the link that opens a view; without `workflowType`, an experiment opens on the pages of chat models."""
    query = f"workflowType=machine_learning&viewStateShareKey={key}"
    return f"{address.rstrip('/')}/#/experiments/{experiment_id}/runs?{query}"


def _envelope(name: str, state: Mapping[str, Any]) -> str:
    content = {"name": name, "createdAt": CREATED, "updatedAt": CREATED, "state": json.dumps(state)}
    return json.dumps(content)


def _state() -> dict[str, Any]:
    charts = [*_curves(), *_results(), _confusion()]
    return {
        "orderByKey": BEST_FIRST,
        "orderByAsc": False,
        "selectedColumns": list(WIDTHS),
        "columnOrder": list(WIDTHS_OF_ALL),
        "columnWidths": WIDTHS_OF_ALL,
        "compareRunCharts": [chart | {"deleted": False, "isGenerated": False} for chart in charts],
        "compareRunSections": [
            {"uuid": name, "name": name, "display": name in (CURVES, RESULTS), "isReordered": True}
            for name in (CURVES, RESULTS, CONFUSION, MORE, SYSTEM)
        ],
        "isAccordionReordered": True,  # the UI would sort the sections by name
        "hideEmptyCharts": True,
    }


def _curves() -> list[dict[str, Any]]:
    """Returns a line chart for each metric of an epoch: on what scores the models, then on the train images.

    The learning rate has none: for many recipes it is a constant.
    """
    keys = [metric.key for metric in STEP_METRICS]
    return [_line(key) for key in (*(f"val_{key}" for key in keys), *keys)]


def _line(key: str) -> dict[str, Any]:
    return _chart("LINE", key, CURVES) | {
        "metricKey": key,
        "selectedMetricKeys": [key],
        "lineSmoothness": 0,
        "scaleType": "linear",
        "xAxisScaleType": "linear",
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _results() -> list[dict[str, Any]]:
    """Returns a bar chart for each result, and the accuracy by cost."""
    bars = [_chart("BAR", key, RESULTS) | {"metricKey": key} for key in CHARTS]
    scatter = _chart("SCATTER", f"top-1 accuracy by {TRAIN_SECONDS}", RESULTS) | {
        "xaxis": {"key": TRAIN_SECONDS, "type": "METRIC"},
        "yaxis": {"key": TOP_1, "type": "METRIC"},
    }
    return [*bars, scatter]


def _confusion() -> dict[str, Any]:
    return _chart("IMAGE", "confusion", CONFUSION) | {"imageKeys": ["confusion"], "step": 0, "showRunParams": False}


def _chart(kind: str, title: str, section: str) -> dict[str, Any]:
    return {
        "uuid": f"{section}: {title}",
        "type": kind,
        "displayName": title,
        "metricSectionId": section,
        "runsCountToCompare": 10,
    }
