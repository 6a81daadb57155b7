"""The records read back: parsed, verified, decoded once."""
