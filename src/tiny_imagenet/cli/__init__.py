"""The `tiny-imagenet` command: one module a subcommand."""
