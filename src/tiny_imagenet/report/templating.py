"""The templates of the page and of the model card."""

from __future__ import annotations

from html import escape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from tiny_imagenet.dataset.classes import first_name
from tiny_imagenet.report.formats import NONE
from tiny_imagenet.report.tables import Number

TEMPLATES = Path(__file__).parent / "templates"


def load_template(name: str) -> Template:
    """Returns a template; HTML escapes its values, Markdown with the filter `text`."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=name.endswith(".md"),
    )
    environment.filters |= {
        "first_name": first_name,
        "value": format_value,
        "text": lambda text: escape(text, quote=False),
    }
    environment.tests["number"] = lambda cell: isinstance(cell, Number)
    return environment.get_template(name)


def format_value(value: object) -> str:
    """Returns the value of a parameter as text."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(format_value(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
