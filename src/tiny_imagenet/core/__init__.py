"""Settings, errors, files, progress and process handling: nothing here changes a result."""
