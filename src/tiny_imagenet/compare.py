"""The former `python -m tiny_imagenet.compare`: names the command that replaced it."""

from tiny_imagenet.cli.renamed import exit_renamed

if __name__ == "__main__":
    exit_renamed("compare", "compare")
