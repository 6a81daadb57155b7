"""A model card: what a model was made from and how, how good it is, and what it is not good for, from its results.

The headings are those of Mitchell et al., Model Cards for Model Reporting (2019), as far as the results fill them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tiny_imagenet.dataset.classes import short_names
from tiny_imagenet.dataset.manifest import Manifest
from tiny_imagenet.report.data_summary import summarize_data
from tiny_imagenet.report.discussion import discuss
from tiny_imagenet.report.mistakes import Pair, Predictions
from tiny_imagenet.report.results import Result
from tiny_imagenet.report.tables import compute, duration, is_short

CARD = """# {name}

Says which of {num_classes} classes of {dataset} is in a picture.
In: float32 `(images, {size}, {size}, 3)`, red, green, blue, 0 to 255; nothing is to be normalised.
Out: float32 logits `(images, {num_classes})` in the order of the dataset's `wnids.txt`; softmax gives probabilities.

## Data

{data}

## Recipe

{recipe}

What the recipe `{recipe_name}` sets, all else is off: {settings}.

## Results

| on {num_images:,} {split} images | |
| :-- | --: |
{results}

## Limits

{limits}
"""
OFF = (None, False, 0, "none")
ALWAYS = (
    "It answers with one of its classes whatever the picture shows, and has seen pictures of {size} pixels only.",
    "The terms of the dataset bind what the model may be used for.",
)


def model_card(
    result: Result,
    others: Sequence[Result],
    settings: Mapping[str, Any],
    manifest: Manifest,
    data_report: Mapping[str, Any],
    predictions: Predictions,
    pairs: Sequence[Pair],
) -> str:
    """Returns the card of a model, Markdown.

    Args:
        result: The model's results.
        others: All results, its own among them: those that it was chosen from.
        settings: Its recipe, flat.
        manifest: Its data.
        data_report: What was found in the data.
        predictions: Its own.
        pairs: The classes that it confuses most, the worst first.
    """
    training, evaluation = result.training, result.evaluation
    return CARD.format(
        name=result.model,
        num_classes=manifest.num_classes,
        dataset=manifest.dataset,
        size=manifest.image_size,
        data=_bullets(_data(manifest, data_report)),
        recipe=_bullets(_recipe(training)),
        recipe_name=training["recipe"],
        settings=", ".join(
            f"{key} {value}" for key, value in settings.items() if value not in (None, False, 0, "none")
        ),
        num_images=evaluation["num_images"],
        split=result.split,
        results="\n".join(f"| {name} | {value} |" for name, value in _scores(result).items()),
        limits=_bullets(_limits(result, others, manifest, predictions, pairs)),
    )


def _data(manifest: Manifest, report: Mapping[str, Any]) -> list[str]:
    counts = ", ".join(f"{split.num_images:,} {name}" for name, split in manifest.splits.items())
    return [f"{manifest.dataset}: {counts} images.", *summarize_data(report, manifest.classes)["remarks"]]


def _recipe(training: Mapping[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in training["versions"].items())
    return [
        f"Architecture {training['architecture']}, {training['num_parameters']:,} parameters, "
        f"{training.get('pretrained') or 'random'} initial weights, seed {training['seed']}.",
        f"{training['epochs']} of the recipe's {training['recipe_epochs']} epochs in "
        f"{duration(training['train_seconds'])} on {training['device']}, {compute(training['train_flops'])}.",
        f"{versions}.",
    ]


def _scores(result: Result) -> dict[str, str]:
    scores = {
        name: f"{result.evaluation[metric]:.2%} ± {result.standard_error(metric):.2%}"
        for name, metric in (("top-1 accuracy", "top_1_accuracy"), ("top-5 accuracy", "top_5_accuracy"))
    }
    loss, error = result.evaluation["loss"], result.evaluation["ece"]
    return scores | {"loss (mean cross-entropy)": f"{loss:.3f}", "expected calibration error": f"{error:.3f}"}


def _limits(
    result: Result, others: Sequence[Result], manifest: Manifest, predictions: Predictions, pairs: Sequence[Pair]
) -> list[str]:
    names = short_names(manifest.classes)
    limits = [each.format(size=manifest.image_size) for each in ALWAYS]
    if is_short(result):
        limits.append("It has not had all the epochs of its recipe.")
    if result.pretrained:
        limits.append("Its backbone was trained on ImageNet, which contains these classes: its accuracy is flattered.")
    if result.flip_averaging:
        limits.append(
            "It was scored by the mean of its logits for an image and its mirror image: ask it so to be as good."
        )
    if len(others) > 1:
        limits.append(f"It is the best of {len(others)} on the images that score it here, which flatters it a little.")
    remarks = discuss([result], result, {result.model: predictions}, names, [])
    limits += [sentence for remark in remarks for sentence in remark.sentences]
    if worst := [_pair(pair, names) for pair in pairs[:5]]:
        limits.append(f"Most confused: {'; '.join(worst)}.")
    return limits


def _pair(pair: Pair, names: Sequence[str]) -> str:
    return f"{names[pair.first]} and {names[pair.second]} ({pair.count} of {pair.num_images:,})"


def _bullets(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {escape(sentence, quote=False)}" for sentence in sentences)
