"""The command that writes the page: report."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from otbench.cli.options import RESULTS, ExperimentsArgument, ResultsOption, chosen, many, missing_in_words
from otbench.errors import InputError


def report(
    experiments: ExperimentsArgument = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML file to write.")] = Path("report.html"),
    results: ResultsOption = RESULTS,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Write one HTML file of results: questions, answers, pictures, all rows, the check's verdict; it works offline."""
    from otbench.files import write_atomically
    from otbench.report.page.render import page
    from otbench.report.page.sections import section
    from otbench.results.folder import Stored
    from otbench.results.store import Results

    if not output.parent.is_dir():
        raise InputError(f"-o {output}: there is no folder {output.parent}; make it, or name another file")
    sections = []
    for name in chosen(experiments, results):
        stored = Stored(Results(results / name))
        sections.append(section(stored, missing_in_words(stored)))
        rules, violations = len(sections[-1].rules), sections[-1].violations
        print(f"{name}: {many(len(stored.frame), 'row')}; {many(rules, 'rule')}, {many(violations, 'violation')}")
    data = page(sections).encode("utf-8")
    write_atomically(output, data)
    print(f"{output}: {len(data) / 1e6:.1f} MB, for any browser, with or without a network")
    if open_ and not webbrowser.open(output.resolve().as_uri()):
        raise InputError(f"--open found no browser; open {output} in one")
