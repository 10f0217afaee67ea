"""The command line: every command of otbench."""

from otbench.cli.run import main

__all__ = ["main"]
