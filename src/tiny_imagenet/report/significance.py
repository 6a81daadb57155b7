"""The two rules by which a difference counts as significant: chance alone exceeds either in about 1 of 20 cases."""

from __future__ import annotations

NUM_STANDARD_ERRORS = 2.0  # of a number with a standard error; a normal variable exceeds it in 1 of 22 cases
MAX_P_VALUE = 0.05  # of a test

RULE_OF_THREE = 3  # none in n cases: at most 3 in n of all, with 95 % confidence (Hanley and Lippman-Hand, 1983)


def is_clear(value: float, standard_error: float) -> bool:
    """Returns whether a value differs from zero by more than `NUM_STANDARD_ERRORS`."""
    return abs(value) > NUM_STANDARD_ERRORS * standard_error


def lower_bound(value: float, standard_error: float) -> float:
    """Returns a value less `NUM_STANDARD_ERRORS`."""
    return value - NUM_STANDARD_ERRORS * standard_error
