"""The model card of a model: its data, recipe, results and limits.

The headings are those of Mitchell et al., 2019, "Model Cards for Model Reporting", as far as the results fill them.
"""

from __future__ import annotations

from tiny_imagenet.core.run_record import TrainingRecord, flatten
from tiny_imagenet.core.schema import ModelSettings, Recipe
from tiny_imagenet.dataset.manifest import Manifest
from tiny_imagenet.evaluation.metrics import METRICS, OBJECTIVE
from tiny_imagenet.report.discussion import discuss
from tiny_imagenet.report.formats import format_duration, format_flops
from tiny_imagenet.report.mistakes import confused_pairs
from tiny_imagenet.report.report_data import ReportData
from tiny_imagenet.report.results import Result, comparable
from tiny_imagenet.report.templating import load_template

NUM_CONFUSED = 5  # pairs of classes that the card names
OFF = (None, False, 0, "none")  # values of a recipe's keys that change nothing


def model_card(data: ReportData, result: Result) -> str:
    """Returns the model card of one of the models, Markdown."""
    manifest = data.manifest
    return load_template("card.md").render(
        result=result,
        manifest=manifest,
        data=[_splits(manifest), *data.data.remarks],
        recipe=_recipe(result),
        settings=_settings(data.settings[result.model]),
        scores=_scores(result),
        limits=_limits(data, result),
    )


def _splits(manifest: Manifest) -> str:
    counts = ", ".join(f"{split.num_images:,} {name}" for name, split in manifest.splits.items())
    return f"{manifest.dataset}: {counts} images."


def _settings(settings: ModelSettings) -> str:
    recipe = flatten(settings.model_dump(include=set(Recipe.model_fields)))
    return ", ".join(f"{key} {value}" for key, value in recipe.items() if value not in OFF)


def _recipe(result: Result) -> list[str]:
    training: TrainingRecord = result.training
    seconds = result.train_seconds
    duration = "" if seconds is None else f" in {format_duration(seconds)}"
    epochs, planned = training.epochs, training.recipe_epochs
    of_recipe = (
        f"{epochs} of the recipe's {planned} epochs" if epochs <= planned else f"{epochs} epochs (recipe: {planned})"
    )
    versions = ", ".join(f"{name} {version}" for name, version in training.versions.items())
    return [
        f"Architecture {training.architecture}, {training.num_parameters:,} parameters, "
        f"{training.pretrained or 'random'} initial weights, seed {training.seed}.",
        f"{of_recipe}{duration} on {training.device}, {format_flops(training.train_flops)}.",
        f"{versions}.",
    ]


def _scores(result: Result) -> dict[str, str]:
    """Returns the metrics by title, the accuracies with their standard errors first."""
    scores = {
        metric.title: f"{result.value(metric):.2%}"
        + f" ± {result.standard_error(metric):.2%}" * (0 < result.value(metric) < 1)
        for metric in METRICS
        if metric.k
    }
    others = [metric for metric in METRICS if not metric.k and metric is not OBJECTIVE]
    return scores | {metric.title: f"{result.value(metric):.3f}" for metric in others}


def _limits(data: ReportData, result: Result) -> list[str]:
    names, predictions = data.names, data.predictions
    limits = [
        "It answers with one of its classes whatever the picture shows, "
        f"and has seen pictures of {data.manifest.image_size} pixels only.",
        "The terms of the dataset bind what the model may be used for.",
    ]
    if result.is_short:
        limits.append("It has not had all the epochs of its recipe.")
    if result.training.pretrained:
        limits.append("Its backbone was trained on ImageNet, which contains these classes: its accuracy is flattered.")
    if result.training.flip_tta:
        limits.append(
            "It was scored by the mean of its logits for an image and its mirror image: ask it so to be as good."
        )
    if result is data.best and len(others := comparable(data.results)) > 1:
        best_of = f"It is the best of {len(others)} on the images that score it here"
        limits.append(f"{best_of}, which flatters it a little.")
    remarks = discuss([result], result, predictions, names, [])
    limits += [sentence for remark in remarks for sentence in remark.sentences]
    confused = [
        f"{names[pair.first]} and {names[pair.second]} ({pair.count} of {pair.num_images:,})"
        for pair in confused_pairs(predictions[result.model], data.manifest.num_classes, NUM_CONFUSED)
    ]
    if confused:
        limits.append(f"Most confused: {'; '.join(confused)}.")
    return limits
