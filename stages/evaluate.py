"""evaluate NAME: models/NAME/model.keras on val or the hold-out -> metrics/NAME/, the run; on test: submission.txt."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tiny_imagenet.data.classes import short_names
from tiny_imagenet.data.tfrecords import load_manifest
from tiny_imagenet.files import write_csv, write_json, write_whole
from tiny_imagenet.lifecycle import stage_process
from tiny_imagenet.params import load_params
from tiny_imagenet.schema import Model, Params

RECORDS = Path("data/records")
ROOT = Path(os.environ.get("DVC_ROOT", "."))


def main(name: str) -> None:
    """Scores a saved model of params.yaml."""
    params = load_params()
    evaluate(params, params.model(name), Path("models") / name, Path("metrics") / name)


def evaluate(params: Params, chosen: Model, models: Path, metrics: Path) -> None:
    """Writes the stage's outputs."""
    from tiny_imagenet.training import devices  # sets what TensorFlow reads when it is imported

    # isort: split
    import numpy as np

    from tiny_imagenet.data.decoding import load_images
    from tiny_imagenet.evaluation import metrics as evaluation
    from tiny_imagenet.evaluation.inference import make_predictor
    from tiny_imagenet.evaluation.saved_models import load_model, load_run
    from tiny_imagenet.evaluation.submission import write_submission
    from tiny_imagenet.report.heatmap import confusion_png
    from tiny_imagenet.tracking.evaluations import log_evaluation

    name, split = chosen.name, params.evaluation.split
    manifest, run = load_manifest(RECORDS), load_run(models / "run.json")
    same = params.training.deterministic
    strategy = devices.make_strategy(params.device, params.strategy, deterministic=same, alone=True)
    with strategy.scope():
        model = load_model(models / "model.keras", run["model_sha256"], manifest.image_size, manifest.num_classes)
        images = load_images(RECORDS, manifest, split, ROOT / ".cache")
        flip = chosen.recipe.flip_averaging
        predict = make_predictor(model, params.evaluation.batch_size, strategy, flip_averaging=flip)
        logits = predict(images.images)

    scores = evaluation.score(logits, images.labels)
    evaluation.require_finite(scores, f"models.{name}")
    error, bins = evaluation.calibration(logits, images.labels, params.evaluation.calibration_bins)
    objective = scores["loss"] + evaluation.l2_term(model)
    results = {"num_images": len(images.labels), "objective": objective, **scores, "ece": error}
    evaluation.require_finite(results, f"models.{name}")
    top, probabilities = evaluation.top_predictions(logits)
    names = short_names(manifest.classes)

    with write_whole(metrics / "predictions.npz") as aside:
        losses = evaluation.cross_entropy(logits, images.labels).astype(np.float32)
        np.savez(aside, label=images.labels, top_5=top, top_5_probability=probabilities, loss=losses)
    write_csv(metrics / "per_class.csv", evaluation.per_class(logits, images.labels, manifest.classes))
    write_csv(metrics / "calibration.csv", bins)
    pairs = zip(images.labels, top[:, 0], strict=True)
    write_csv(metrics / "confusion.csv", [{"actual": names[a], "predicted": names[p]} for a, p in pairs])
    write_json(metrics / "evaluation.json", {"model": name, "split": split, **results})
    write_submission(models / "submission.txt", RECORDS, manifest, ROOT / ".cache", predict)
    pictures = {"confusion": confusion_png(f"{name}, {split}", images.labels, top[:, 0], names)}
    log_evaluation(ROOT, run["experiment"], run["run_id"], results, metrics, pictures)
    top_1, top_5, loss = (scores[key] for key in ("top_1_accuracy", "top_5_accuracy", "loss"))
    print(f"{name}: {len(images.labels):,} {split} images, top-1 {top_1:.2%}, top-5 {top_5:.2%}, loss {loss:.3f}")


if __name__ == "__main__":
    with stage_process("evaluate"):
        main(sys.argv[1] if len(sys.argv) == 2 else "")
