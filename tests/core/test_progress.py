import pytest

from tiny_imagenet.core.progress import TrainingProgress


def test_an_epoch_is_a_line_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"epoch": 2, "loss": 1.25, "top_1_accuracy": 0.5, "top_5_accuracy": 0.75, "images_per_second": 1234.5}
    with TrainingProgress("vgg", epochs=3, steps_per_epoch=10, step=10) as shown:
        shown.steps(10)
        shown.epoch(row | {"val_loss": 2.5, "val_top_1_accuracy": 0.25, "val_top_5_accuracy": 0.625})
    out, err = capsys.readouterr()
    assert out == (
        "vgg: epoch 2/3  train loss 1.250 top-1 50.00% top-5 75.00%  val loss 2.500 top-1 25.00% top-5 62.50%  "
        "1,234 images/s\n"
    )
    assert err == ""
