"""Stage report: builds the comparison table, results.json, the figures and the page under reports/."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from matplotlib.figure import Figure

from tiny_imagenet.classes import short_names
from tiny_imagenet.data_summary import load_data_report
from tiny_imagenet.examples import choose_labels, draw_examples, draw_variants, first_examples, images_at
from tiny_imagenet.figures import to_svg
from tiny_imagenet.lifecycle import stage_process
from tiny_imagenet.mistakes import Predictions, confident_mistakes, confused_pairs
from tiny_imagenet.page import render_page
from tiny_imagenet.params import as_flat, load_params
from tiny_imagenet.reporting import best, draw_results, write_report
from tiny_imagenet.results import load_predictions, load_result
from tiny_imagenet.schema import Model
from tiny_imagenet.tables import as_text, make_tables
from tiny_imagenet.tfrecords import Manifest, iterate_examples, load_manifest, verify_split

RECORDS, METRICS, REPORTS = Path("data/records"), Path("metrics"), Path("reports")
PAIRS, MISTAKES = 12, 12  # pairs of confused classes and confident mistakes that the page shows


def main() -> None:
    """Reads what the other stages left, and writes the whole report or nothing."""
    params, manifest = load_params(), load_manifest(RECORDS)
    train_images = sum(split.num_images for name, split in manifest.splits.items() if name in ("train", "holdout"))
    published = {
        name: dataclasses.asdict(row) | {"images_seen": row.epochs * train_images}
        for name, row in params.published.items()
    }
    results = [load_result(name, METRICS / name, published.get(name)) for name in params.models]
    predictions = {name: load_predictions(name, METRICS / name / "predictions.npz") for name in params.models}
    data_report = load_data_report(METRICS / "data.json")
    labels, unknown = choose_labels([item.words for item in manifest.classes], params.report.examples)
    first, split = best(results).model, best(results).split
    pairs = confused_pairs(predictions[first], manifest.num_classes, PAIRS)
    mistakes = confident_mistakes(predictions[first], MISTAKES)
    figures = {name: to_svg(figure) for name, figure in draw_results(results).items()}
    pictures = draw_pictures(params.models[first], manifest, labels, split, predictions[first])
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
        parameters={name: as_flat(model) for name, model in params.models.items()},
    )
    write_report(REPORTS, results, page, figures, pictures)
    print("\n\n".join([*map(as_text, make_tables(results)), str(REPORTS / "index.html")]))


def draw_pictures(
    model: Model, manifest: Manifest, labels: list[int], split: str, predictions: Predictions
) -> dict[str, Figure]:
    """Draws the pictures that show images of the dataset: the model's guesses, and what augmentation does."""
    from tiny_imagenet import devices

    devices.make_strategy("cpu")  # a few images need no GPU
    for each in ("train", split):
        verify_split(RECORDS, manifest, each)
    train, scored = (first_examples(iterate_examples(RECORDS, manifest, each), labels) for each in ("train", split))
    pictures = draw_examples(scored, predictions, short_names(manifest.classes))
    augmentation = dataclasses.asdict(model.recipe.augmentation)
    return pictures | {"augmentation": draw_variants(train, (model.seed, 0), **augmentation)}


if __name__ == "__main__":
    with stage_process("report"):
        main()
