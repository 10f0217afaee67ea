"""Commands on what can be declared: list | advise."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otbench.cli.fields import fields, summary
from otbench.cli.options import JsonOption, PluginOption, toml_table
from otbench.errors import InputError

if TYPE_CHECKING:
    from otbench.spec import Spec


class Unit(StrEnum):
    """What a learning rate is in units of."""

    ABSOLUTE = "absolute"
    CLIP = "clip"


def advise(
    dim: Annotated[int, typer.Option(min=1, help="Dimension of the data.")],
    widths: Annotated[str, typer.Option(help="Hidden widths of the critic, as 512,512,512.")],
    lr: Annotated[float, typer.Option(min=0, help="Learning rate, in units of --lr-unit.")] = 5e-5,
    lr_unit: Annotated[Unit, typer.Option(help="clip: the rate is --lr times the clip value.")] = Unit.ABSOLUTE,
    steps: Annotated[int, typer.Option(min=1, help="Critic steps in all.")] = 10_000,
    critic: Annotated[
        str | None, typer.Option(help="Further fields of the critic, as '{ optimiser = \"adam\" }'.")
    ] = None,
    data: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Two samples, .npy, .csv, .tsv or .parquet: real, generated.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Say which clip value a critic should have, why, and what to print instead of its raw loss."""
    from otbench.problems import problem
    from otbench.report.advice import advise as advice_for
    from otbench.report.advice import exact_part, in_words

    try:
        sizes = [int(part) for part in widths.split(",")]
    except ValueError:
        raise InputError(f"--widths takes whole numbers with commas between, as 512,512,512; got {widths!r}") from None
    pair = w1 = None
    if data is not None:
        pair = problem("arrays", x=str(data[0]), y=str(data[1])).sample()
        if pair.dim != dim:
            raise InputError(f"--dim is {dim}, but the samples have dimension {pair.dim}")
        w1 = exact_part(pair)
    further = None if critic is None else toml_table("--critic takes", critic)
    advice = advice_for(dim, sizes, lr=lr, lr_unit=lr_unit.value, steps=steps, critic=further, pair=pair, w1=w1)
    print(json.dumps(asdict(advice), indent=1) if json_ else "\n".join(in_words(advice)))


def list_(plugin: PluginOption = None, json_: JsonOption = False) -> None:
    """List the experiments, problems and methods by name, and every field: type, choices, default and meaning."""
    from otbench.experiment.cell import Sampling
    from otbench.experiment.known import known
    from otbench.experiment.known import plugin as read_plugin
    from otbench.experiment.locate import experiments

    there = known([read_plugin(each) for each in plugin or []])
    named: dict[str, Mapping[str, type[Spec]]] = {"problem": there.problems, "method": there.methods}
    if json_:
        told = {kind: {name: _told(spec) for name, spec in specs.items()} for kind, specs in named.items()}
        files = {name: str(file) for name, file in experiments().items()}
        print(json.dumps({"experiment": files, **told, "sampling": _told(Sampling)}, indent=1))
        return
    for name, file in experiments().items():
        print(f"experiment {name:12} {file}")
    named["sampling"] = {"of a block": Sampling}
    for kind, specs in named.items():
        for name, spec in specs.items():
            print(f"{kind:10} {name:12} {summary(spec)}")
            for field in fields(spec):
                print(f"{'':11}{field}")


def _told(spec: "type[Spec]") -> dict[str, Any]:
    """A description for a program: what it is, and its fields."""
    return {"summary": summary(spec), "fields": {field.name: field.told() for field in fields(spec)}}
