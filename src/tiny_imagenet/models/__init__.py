"""The architectures, one a file: the file's name is the architecture's, its `build` makes the model.

There is no table of them on purpose: a new file makes no other model's training stale
(docs/decisions/architectures-are-files.md).
"""
