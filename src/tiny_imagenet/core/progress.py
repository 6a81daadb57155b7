"""Progress of a training: a bar on a terminal, and a line per epoch."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from tqdm import tqdm


class TrainingProgress:
    """Shows the progress of a training.

    Args:
        name: Name of the model.
        epochs: Number of epochs.
        steps_per_epoch: Steps of each epoch.
        step: Steps done by an earlier run that this one resumes.
    """

    def __init__(self, name: str, epochs: int, steps_per_epoch: int, step: int = 0) -> None:
        self._name, self._epochs = name, epochs
        total = epochs * steps_per_epoch
        self._bar = tqdm(total=total, initial=step, unit="step", desc=name, disable=None, dynamic_ncols=True)

    def __enter__(self) -> TrainingProgress:
        """Returns itself."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Closes the bar."""
        self._bar.close()

    def steps(self, count: int) -> None:
        """Advances the bar by `count` steps."""
        self._bar.update(count)

    def epoch(self, row: Mapping[str, float]) -> None:
        """Writes the line of an epoch, given its metrics."""
        parts = [f"{self._name}: epoch {row['epoch']}/{self._epochs}"]
        for split, prefix in (("train", ""), ("val", "val_")):
            loss, top_1, top_5 = (row[prefix + key] for key in ("loss", "top_1_accuracy", "top_5_accuracy"))
            parts.append(f"{split} loss {loss:.3f} top-1 {top_1:.2%} top-5 {top_5:.2%}")
        self._bar.write("  ".join([*parts, f"{row['images_per_second']:,.0f} images/s"]))
