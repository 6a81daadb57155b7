"""The architectures, one per file: the file has the architecture's name, its `build` returns the model.

They are found by their files, not by a table: a new file makes no other model's training stale
(docs/decisions/architectures-are-files.md).
"""
