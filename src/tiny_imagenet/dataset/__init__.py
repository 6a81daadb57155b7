"""The classes, the manifest and the record format that writers and readers share."""
