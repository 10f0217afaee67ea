"""The command on two data sets: estimate."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otbench.cli.options import JsonOption, toml_table
from otbench.errors import InputError

if TYPE_CHECKING:
    from otbench.methods import Method


def estimate(
    real: Annotated[Path, typer.Argument(help="Sample of P: .npy, .csv, .tsv or .parquet, a row per point.")],
    generated: Annotated[Path, typer.Argument(help="Sample of Q, with as many columns.")],
    a: Annotated[Path | None, typer.Option("--a", help="Weights of the first sample; equal when left out.")] = None,
    b: Annotated[Path | None, typer.Option("--b", help="Weights of the second sample.")] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help='Critic to train: a name, or \'{ name = "weight_clip", clip = 0.1 }\'; may be repeated.'),
    ] = None,
    level: Annotated[float, typer.Option(help="Probability with which the bracket holds W1 of the laws.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Of the halves, the blocks and the training.")] = 0,
    discrete: Annotated[bool, typer.Option("--discrete", help="The laws have atoms: equal rows are chance.")] = False,
    json_: JsonOption = False,
) -> None:
    """Say how far the laws behind two samples are apart: a bracket of their W1, beside the samples' exact W1.

    From below by critics that are trained on half of the points and read on the other half, from above by exact values
    of disjoint blocks.
    """
    from otbench.methods import estimate as bracket
    from otbench.problems import problem

    files = {name: str(file) for name, file in (("x", real), ("y", generated), ("a", a), ("b", b)) if file}
    pair = problem("arrays", **files).sample()
    chosen = [_method(text) for text in method] if method else bracket.DEFAULT_METHODS
    found = bracket.estimate(
        pair.x, pair.y, pair.a, pair.b, methods=chosen, level=level, seed=seed, discrete=discrete,
        progress=lambda text: print(f"estimate: {text}", file=sys.stderr),
    )  # fmt: skip
    if json_:
        more = {"side": found.side, "variance_shares": found.variance_shares, "narrower": found.tighter}
        print(json.dumps({**asdict(found), "assumptions": bracket.ASSUMPTIONS, **more}, indent=1))
    else:
        print(found)


def _method(text: str) -> "Method | str":
    """A method by its name, or as the table that an experiment would have."""
    from otbench.methods import method

    if not text.lstrip().startswith("{"):
        return text
    fields = toml_table("--method takes a name or", text)
    if not isinstance(fields.get("name"), str):
        raise InputError(f"--method's table needs a name, as in an experiment; got {text!r}")
    return method(**fields)
