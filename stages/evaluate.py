"""Stage evaluate NAME: scores models/NAME/model.keras, to metrics/NAME and the MLflow run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tiny_imagenet.core.disk import require_writable
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import atomic_write, sha256_of, write_csv, write_json
from tiny_imagenet.core.params import load_params
from tiny_imagenet.core.process import stage_process
from tiny_imagenet.core.schema import ModelSettings, Params
from tiny_imagenet.dataset.classes import short_names
from tiny_imagenet.dataset.manifest import load_manifest

RECORDS, SUMMARIES = Path("data/records"), Path("reports/metrics")  # the latter for `dvc metrics`, in git
ROOT = Path(os.environ.get("DVC_ROOT", "."))


def main(name: str) -> None:
    """Scores a saved model of params.yaml."""
    params = load_params()
    settings, models, metrics = params.model(name), Path("models") / name, Path("metrics") / name
    require_writable(models, metrics, SUMMARIES)
    evaluate(params, settings, models, metrics)


def evaluate(params: Params, settings: ModelSettings, models: Path, metrics: Path) -> None:
    """Writes the stage's outputs."""
    from tiny_imagenet.distribute import devices  # before TensorFlow: it sets environment variables for it

    # isort: split
    import numpy as np

    from tiny_imagenet.evaluation import metrics as evaluation
    from tiny_imagenet.evaluation.saved_models import load_model
    from tiny_imagenet.evaluation.submission import write_submission
    from tiny_imagenet.images.decoding import load_images
    from tiny_imagenet.scoring.metrics import cross_entropy, regularization_loss, require_finite
    from tiny_imagenet.scoring.predictor import make_predictor
    from tiny_imagenet.tracking.confusion_image import confusion_png
    from tiny_imagenet.tracking.evaluations import log_evaluation

    name, split, options = settings.model, params.evaluation.split, params.evaluation
    manifest, path = load_manifest(RECORDS), models / "model.keras"
    deterministic = params.training.deterministic
    strategy = devices.make_strategy(params.device, params.strategy, deterministic=deterministic, alone=True)
    with strategy.scope():
        model, info = load_model(path)
        if (info.classes, info.image_size) != (manifest.classes, manifest.image_size):
            raise InputError(path, "was trained on other classes, or images of another size", "run `dvc repro`")
        images = load_images(RECORDS, manifest, split, ROOT / ".cache")
        predict = make_predictor(model, options.batch_size, strategy, flip_tta=settings.flip_tta)
        logits, labels = predict(images.images), images.labels

    scores = evaluation.evaluate(logits, labels, regularization_loss(model), options.calibration_bins)
    require_finite(scores, f"models.{name}")
    results: dict[str, Any] = {"num_images": len(labels), **scores}
    top, probabilities = evaluation.top_predictions(logits)
    names = short_names(manifest.classes)

    with atomic_write(metrics / "predictions.npz") as temporary:
        losses = cross_entropy(logits, labels).astype(np.float32)
        np.savez(temporary, label=labels, top_5=top, top_5_probability=probabilities, loss=losses)
    write_csv(metrics / "per_class.csv", evaluation.per_class(logits, labels, manifest.classes))
    write_csv(metrics / "calibration.csv", evaluation.calibration(logits, labels, options.calibration_bins)[1])
    pairs = zip(labels, top[:, 0], strict=True)
    write_csv(metrics / "confusion.csv", [{"actual": names[a], "predicted": names[p]} for a, p in pairs])
    write_json(metrics / "evaluation.json", {"model": name, "split": split, **results})
    mark = {"debug": 1} if settings.debug else {}
    write_json(SUMMARIES / f"{name}.json", {name: scores | mark})
    write_submission(models / "submission.txt", RECORDS, manifest, ROOT / ".cache", predict)
    confusion = confusion_png(f"{name}, {split}", evaluation.confusion_matrix(labels, top[:, 0], len(names)), names)
    results["split"] = split
    log_evaluation(ROOT, manifest.dataset, sha256_of(path), results, metrics, {"confusion": confusion})
    top_1, top_5, loss = (scores[key] for key in ("top_1_accuracy", "top_5_accuracy", "loss"))
    print(f"{name}: {len(labels):,} {split} images, top-1 {top_1:.2%}, top-5 {top_5:.2%}, loss {loss:.3f}")


if __name__ == "__main__":
    with stage_process("evaluate"):
        main(sys.argv[1] if len(sys.argv) == 2 else "")
