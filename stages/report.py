"""Stage report: the comparison table, results.json, figures, page and the best model's card; optional registration."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from tiny_imagenet.core.disk import require_writable
from tiny_imagenet.core.params import load_params
from tiny_imagenet.core.process import stage_process
from tiny_imagenet.dataset.manifest import load_manifest
from tiny_imagenet.images.reader import iterate_examples
from tiny_imagenet.report.charts import draw_charts
from tiny_imagenet.report.comparison_tables import make_tables
from tiny_imagenet.report.data_summary import load_data_report
from tiny_imagenet.report.examples import choose_labels, images_at
from tiny_imagenet.report.model_card import model_card
from tiny_imagenet.report.outputs import write_outputs
from tiny_imagenet.report.page import render_page
from tiny_imagenet.report.pictures import draw_pictures
from tiny_imagenet.report.predictions import load_predictions
from tiny_imagenet.report.report_data import ReportData
from tiny_imagenet.report.result_files import load_result
from tiny_imagenet.report.results import Result, publish
from tiny_imagenet.report.style import to_png, to_svg
from tiny_imagenet.report.tables import as_text

RECORDS, METRICS, REPORTS = Path("data/records"), Path("metrics"), Path("reports")
ROOT = Path(os.environ.get("DVC_ROOT", "."))


def main() -> None:
    """Reads the results of the other stages, and writes the whole report or nothing."""
    params, manifest = load_params(), load_manifest(RECORDS)
    require_writable(REPORTS, REPORTS / "figures")
    published = publish(params.published, manifest)
    results = with_times([load_result(m, METRICS / m, published.get(m)) for m in params.models], manifest.dataset)
    predictions = {m: load_predictions(m, METRICS / m / "predictions.npz") for m in params.models}
    data = ReportData(manifest, load_data_report(REPORTS / "data.json"), results, predictions, params.models)
    labels, unknown = choose_labels([each.words for each in manifest.classes], params.report.examples)
    model, split = params.models[data.best.model], data.best.evaluation.split
    charts = {name: to_svg(figure) for name, figure in draw_charts(results).items()}
    pictures = draw_pictures(model, RECORDS, manifest, labels, split, data.best_predictions)
    images = images_at(iterate_examples(RECORDS, manifest, split), data.shown_images)
    page = render_page(data, charts | {name: to_svg(picture) for name, picture in pictures.items()}, images, unknown)
    texts = {"index.html": page, "card.md": model_card(data, data.best)}
    write_outputs(REPORTS, results, texts, charts, {name: to_png(picture) for name, picture in pictures.items()})
    print("\n\n".join([*map(as_text, make_tables(results)), str(REPORTS / "index.html")]))
    describe(data)
    if params.report.champion:
        print("no champion: these are debug runs" if data.best.is_debug else register(data.best, manifest.dataset))


def with_times(results: list[Result], dataset: str) -> list[Result]:
    """Returns the results with the training times that the MLflow store has."""
    from tiny_imagenet.tracking.trained_runs import train_seconds  # MLflow takes seconds to import

    times = train_seconds(ROOT, dataset, {each.model: each.training.model_sha256 for each in results})
    return [replace(each, train_seconds=times.get(each.model, each.train_seconds)) for each in results]


def describe(data: ReportData) -> None:
    """Makes each model's card its description in MLflow."""
    from tiny_imagenet.tracking.logged_models import describe_models

    cards = {each.training.model_sha256: model_card(data, each) for each in data.results}
    describe_models(ROOT, data.manifest.dataset, cards)


def register(best: Result, dataset: str) -> str:
    """Registers the best model in MLflow as champion; returns a sentence on the outcome."""
    from tiny_imagenet.tracking.registry import Candidate, register_champion

    candidate = Candidate(best.model, best.evaluation.split, best.top_1_accuracy, dataset, best.training.model_sha256)
    return register_champion(ROOT, candidate, REPORTS / "card.md")


if __name__ == "__main__":
    with stage_process("report"):
        main()
