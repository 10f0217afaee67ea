"""The reference of commands, as typer tells it from the commands themselves."""

import typer
from typer.cli import get_docs_for_click

from otbench.cli.run import app


def reference() -> str:
    """A section per command: what it does, how it is called, its arguments and options."""
    group = typer.main.get_command(app)
    context = typer.Context(group, info_name="otbench")
    told = get_docs_for_click(obj=group, ctx=context, name="otbench", title="Commands")
    return told.replace("# Commands\n", "", 1)
