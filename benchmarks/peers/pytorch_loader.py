"""Input only: a PyTorch DataLoader on folders, one worker per core, torchvision's augmentation. Arguments: FOLDER."""

import os
import sys

import torch

from benchmarks.serving import rate, serve

BATCH = 100


def import_torchvision():
    """Imports torchvision; beside a PyTorch without CUDA its own operators do not load, and no transform needs them."""
    try:
        import torchvision
    except RuntimeError:
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision

        torchvision.stand_in = library  # it must outlive this function
    return torchvision


def main(folder: str) -> None:
    torchvision = import_torchvision()
    from torchvision.transforms import v2

    augment = v2.Compose(
        [
            v2.ToImage(),
            v2.RandomHorizontalFlip(),
            v2.RandomAffine(20, translate=(0.1, 0.1), interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(brightness=(0.5, 1.5)),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    data = torchvision.datasets.ImageFolder(folder, augment)
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    loader = torch.utils.data.DataLoader(data, BATCH, shuffle=True, num_workers=workers)

    def measure():
        batches = iter(loader)
        return rate(lambda: next(batches), BATCH, warm=1.0)

    serve(measure, workers=workers)


if __name__ == "__main__":
    main(*sys.argv[1:])
