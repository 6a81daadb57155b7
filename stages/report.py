"""Stage report: builds the comparison table, results.json, the figures and the page under reports/."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from matplotlib.figure import Figure

from tiny_imagenet.classes import short_names
from tiny_imagenet.examples import choose_labels, draw_examples, draw_variants, first_examples
from tiny_imagenet.figures import to_svg
from tiny_imagenet.lifecycle import stage_process
from tiny_imagenet.page import render_page
from tiny_imagenet.params import as_flat, load_params
from tiny_imagenet.reporting import best, draw_results, write_report
from tiny_imagenet.results import load_data_report, load_predictions, load_result
from tiny_imagenet.schema import Params
from tiny_imagenet.tables import as_text, make_tables
from tiny_imagenet.tfrecords import Manifest, iterate_examples, load_manifest, verify_split

RECORDS, METRICS, REPORTS = Path("data/records"), Path("metrics"), Path("reports")


def main() -> None:
    """Reads what the other stages left, and writes the whole report or nothing."""
    params, manifest = load_params(), load_manifest(RECORDS)
    train_images = sum(split.num_images for name, split in manifest.splits.items() if name in ("train", "holdout"))
    published = {
        name: dataclasses.asdict(row) | {"images_seen": row.epochs * train_images}
        for name, row in params.published.items()
    }
    results = [load_result(name, METRICS / name, published.get(name)) for name in params.models]
    data_report = load_data_report(METRICS / "data.json")
    labels, unknown = choose_labels([item.words for item in manifest.classes], params.report.examples)
    figures = {name: to_svg(figure) for name, figure in draw_results(results).items()}
    pictures = draw_pictures(params, manifest, labels, best(results).model)
    page = render_page(
        manifest=manifest,
        results=results,
        figures=figures | {name: to_svg(figure) for name, figure in pictures.items()},
        unknown_examples=unknown,
        data_report=data_report,
        parameters={name: {"seed": params.seed} | as_flat(model) for name, model in params.models.items()},
    )
    write_report(REPORTS, results, page, figures, pictures)
    print("\n\n".join([*map(as_text, make_tables(results)), str(REPORTS / "index.html")]))


def draw_pictures(params: Params, manifest: Manifest, labels: list[int], model: str) -> dict[str, Figure]:
    """Draws the pictures that show images of the dataset: the model's guesses, and what augmentation does."""
    from tiny_imagenet import devices

    devices.make_strategy("cpu")  # a few images need no GPU
    predictions = load_predictions(model, METRICS / model / "predictions.npz")
    for split in ("train", "val"):
        verify_split(RECORDS, manifest, split)
    train, val = (first_examples(iterate_examples(RECORDS, manifest, split), labels) for split in ("train", "val"))
    augmentation = dataclasses.asdict(params.models[model].recipe.augmentation)
    names = short_names(manifest.classes)
    pictures = draw_examples(val, predictions, names)
    return pictures | {"augmentation": draw_variants(train, (params.seed, 0), **augmentation)}


if __name__ == "__main__":
    with stage_process("report"):
        main()
