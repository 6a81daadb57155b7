"""Stage report: the comparison table, results.json, figures, page and the best model's card; maybe its registration."""

from __future__ import annotations

import os
from pathlib import Path

from tiny_imagenet.core.params import load_params
from tiny_imagenet.core.process import stage_process
from tiny_imagenet.core.run_record import flatten
from tiny_imagenet.core.schema import Recipe
from tiny_imagenet.dataset.manifest import load_manifest
from tiny_imagenet.images.reader import iterate_examples
from tiny_imagenet.report.data_summary import load_data_report
from tiny_imagenet.report.examples import choose_labels, draw_pictures, images_at
from tiny_imagenet.report.mistakes import confident_mistakes, confused_pairs
from tiny_imagenet.report.model_card import model_card
from tiny_imagenet.report.page import render_page
from tiny_imagenet.report.reporting import best, draw_results, write_report
from tiny_imagenet.report.results import load_predictions, load_result
from tiny_imagenet.report.style import to_svg
from tiny_imagenet.report.tables import as_text, make_tables

RECORDS, MODELS, METRICS, REPORTS = Path("data/records"), Path("models"), Path("metrics"), Path("reports")
ROOT = Path(os.environ.get("DVC_ROOT", "."))
PAIRS, MISTAKES = 12, 12  # pairs of confused classes and confident mistakes that the page shows


def main() -> None:
    """Reads what the other stages left, and writes the whole report or nothing."""
    params, manifest = load_params(), load_manifest(RECORDS)
    train_images = sum(split.num_images for name, split in manifest.splits.items() if name in ("train", "holdout"))
    published = {
        name: row.model_dump() | {"images_seen": row.epochs * train_images} for name, row in params.published.items()
    }
    results = [load_result(name, METRICS / name, published.get(name)) for name in params.models]
    predictions = {name: load_predictions(name, METRICS / name / "predictions.npz") for name in params.models}
    data_report = load_data_report(METRICS / "data.json")
    labels, unknown = choose_labels([item.words for item in manifest.classes], params.report.examples)
    first, split = best(results).model, best(results).split
    pairs = confused_pairs(predictions[first], manifest.num_classes, PAIRS)
    mistakes = confident_mistakes(predictions[first], MISTAKES)
    figures = {name: to_svg(figure) for name, figure in draw_results(results).items()}
    pictures = draw_pictures(params.models[first], RECORDS, manifest, labels, split, predictions[first])
    shown = {each.position for each in (*mistakes, *(each for pair in pairs for each in pair.mistakes))}
    page = render_page(
        manifest=manifest,
        results=results,
        predictions=predictions,
        figures=figures | {name: to_svg(figure) for name, figure in pictures.items()},
        pairs=pairs,
        mistakes=mistakes,
        images=images_at(iterate_examples(RECORDS, manifest, split), shown),
        unknown_examples=unknown,
        data_report=data_report,
        parameters={name: flatten(model.model_dump()) for name, model in params.models.items()},
    )
    settings = flatten(params.models[first].model_dump(include=set(Recipe.model_fields)))
    card = model_card(best(results), results, settings, manifest, data_report, predictions[first], pairs)
    write_report(REPORTS, results, page, card, figures, pictures)
    print("\n\n".join([*map(as_text, make_tables(results)), str(REPORTS / "index.html")]))
    if params.report.champion:
        from tiny_imagenet.tracking.registry import name_champion  # MLflow takes seconds to import

        print(name_champion(ROOT, best(results), MODELS / first, REPORTS / "card.md"))


if __name__ == "__main__":
    with stage_process("report"):
        main()
