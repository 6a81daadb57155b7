"""Devices, the batch, the step, the loop, and what is kept of it."""
