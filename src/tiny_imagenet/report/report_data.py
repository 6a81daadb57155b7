"""The results of all models and their data, which the page and the model card share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tiny_imagenet.core.schema import ModelSettings
from tiny_imagenet.dataset.classes import short_names
from tiny_imagenet.dataset.manifest import Manifest
from tiny_imagenet.report.data_summary import DataSummary, summarize_data
from tiny_imagenet.report.mistakes import Mistake, Pair, confident_mistakes, confused_pairs
from tiny_imagenet.report.predictions import Predictions
from tiny_imagenet.report.results import Result, best_result

NUM_PAIRS, NUM_MISTAKES = 12, 12  # confused pairs and confident mistakes of the best model that are shown


@dataclass(frozen=True)
class ReportData:
    """The input of the report.

    Attributes:
        manifest: Of the dataset's records.
        data_report: The content of data.json.
        results: Of the models.
        predictions: By model.
        settings: By model, as params.yaml has them.
    """

    manifest: Manifest
    data_report: Mapping[str, Any]
    results: Sequence[Result]
    predictions: Mapping[str, Predictions]
    settings: Mapping[str, ModelSettings]

    @cached_property
    def best(self) -> Result:
        """The best result."""
        return best_result(self.results)

    @cached_property
    def best_predictions(self) -> Predictions:
        """The predictions of the best model."""
        return self.predictions[self.best.model]

    @cached_property
    def names(self) -> list[str]:
        """The names of the classes by label."""
        return short_names(self.manifest.classes)

    @cached_property
    def data(self) -> DataSummary:
        """The summary of the data report."""
        return summarize_data(self.data_report, self.manifest.classes)

    @cached_property
    def pairs(self) -> list[Pair]:
        """The classes that the best model confuses most."""
        return confused_pairs(self.best_predictions, self.manifest.num_classes, NUM_PAIRS)

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """The mistakes that the best model is most confident of."""
        return confident_mistakes(self.best_predictions, NUM_MISTAKES)

    @property
    def shown_images(self) -> set[int]:
        """The indices, in the split of the best result, of the images of pairs and mistakes."""
        return {each.position for each in (*self.mistakes, *(each for pair in self.pairs for each in pair.mistakes))}
