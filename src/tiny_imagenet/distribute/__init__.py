"""The devices and workers that a computation is distributed over."""
