"""Classes, manifest and record format, shared by the writer and the readers."""
