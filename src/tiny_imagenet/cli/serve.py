"""The command `tiny-imagenet serve`: the champion, or another model of the MLflow store, over HTTP."""

from __future__ import annotations

import argparse

from tiny_imagenet.cli.trained_models import add_root_argument

HELP = "serve the champion: post pictures, get class names and probabilities"
EPILOG = "docs/mlflow.md has a request to copy."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    text = "a model of the MLflow store, such as models:/NAME@champion; default: the champion of params.yaml's dataset"
    parser.add_argument("--model", metavar="URI", help=text)
    parser.add_argument("--port", type=int, default=5001, help="on 127.0.0.1; default: 5001")
    add_root_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serves the model until it is interrupted."""
    from tiny_imagenet.core.params import load_params

    model = arguments.model or f"models:/{load_params(arguments.root / 'params.yaml').dataset_name}@champion"

    # isort: split
    from tiny_imagenet.tracking.servers import serve_model  # MLflow takes seconds to import

    return serve_model(arguments.root, model, arguments.port)
