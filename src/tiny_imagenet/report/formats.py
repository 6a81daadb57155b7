"""Numbers as the report writes them."""

from __future__ import annotations

import math

NONE = "–"  # no value
FEW = 100  # of fewer a part is counted, not given in percent


def signed(value: float, form: str = ".2f") -> str:
    """Returns a number with its sign, a minus as the typographic one, −0.25; zero without a sign."""
    return format(value, f"+{form}" if value else form).replace("-", "−")


def plus_minus(value: str, error: float) -> str:
    """Returns a number and its standard error, 24.50 ± 0.43; without the error where its formula gives 0."""
    return f"{value} ± {error:.2f}" if error else value


def points(value: float, error: float = 0.0) -> str:
    """Returns a fraction in signed points of a percent, and its standard error if there is one: +1.20 ± 0.50."""
    return plus_minus(signed(100.0 * value), 100.0 * error)


def epochs_of(epochs: int, recipe_epochs: int) -> str:
    """Returns a number of epochs beside the recipe's: 3 of 40; 50, recipe 40."""
    return f"{epochs} of {recipe_epochs}" if epochs <= recipe_epochs else f"{epochs}, recipe {recipe_epochs}"


def percent(fraction: float) -> str:
    """Returns a fraction as percent: 24.5 %."""
    return f"{100.0 * fraction:.1f} %"


def part_of(part: int, total: int) -> str:
    """Returns a part of a number as percent, or as it is where the number is small."""
    return f"{part:,}" if total < FEW else percent(part / total)


def format_duration(seconds: float | None) -> str:
    """Returns a duration in its two largest units: 42 s, 12 min 03 s, 3 h 05 min; "–" for None."""
    if seconds is None:
        return NONE
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 3599.5:
        return f"{round(seconds) // 60} min {round(seconds) % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def format_flops(flops: float) -> str:
    """Returns a number of floating-point operations with three significant digits: 2.38 PFLOP."""
    exponent = min(18, max(6, 3 * int(math.log10(max(flops, 1.0)) // 3)))
    prefix = {6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}[exponent]
    return f"{flops / 10**exponent:.3g} {prefix}FLOP"
