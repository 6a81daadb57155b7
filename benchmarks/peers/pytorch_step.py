"""The training step of the same architecture in PyTorch, channels last, on a batch in memory. Arguments: MODEL."""

import sys

import torch
from torch import nn

from benchmarks.serving import rate, serve

BATCH, L2, DROPOUT = 100, 0.0005, 0.2


def convolutions(channels: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3), nn.ReLU(), nn.MaxPool2d(2)]


def build(name: str) -> nn.Module:
    widths = {"vgg": (32, 64, 128), "simple_cnn": (32,)}[name]
    layers: list[nn.Module] = []
    for channels, width in zip((3, *widths), widths, strict=False):
        layers += convolutions(channels, width)
    head = [
        nn.Flatten(),
        nn.Dropout(DROPOUT),
        nn.LazyLinear(1024),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(1024, 200),
    ]
    return nn.Sequential(*layers, *head)


def main(name: str) -> None:
    images = torch.rand(BATCH, 3, 64, 64).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 200, (BATCH,))
    model = build(name)
    model(images)
    model = model.to(memory_format=torch.channels_last)
    kernels = [p for p in model.parameters() if p.ndim > 1]
    biases = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": kernels, "weight_decay": 2 * L2}, {"params": biases}]
    optimizer = torch.optim.SGD(groups, lr=0.01)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    step()
    parameters = sum(p.numel() for p in model.parameters())
    serve(lambda: rate(step, BATCH), threads=torch.get_num_threads(), num_parameters=parameters)


if __name__ == "__main__":
    main(*sys.argv[1:])
