"""Floating-point operations of one multiply-accumulate (MAC)."""

from __future__ import annotations

FORWARD_FLOPS_PER_MAC = 2  # a multiply and an add
TRAIN_FLOPS_PER_MAC = 6  # a multiply and an add, in the forward pass and for the gradients of inputs and of weights
