"""The dataset's archive: download, verification, the zip's members; the built-in digits."""
