"""What an experiment may name: otbench's own problems and methods, and those of plugins that are named on purpose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from otbench.errors import InputError
from otbench.experiment.plugin import Plugin, defined
from otbench.experiment.plugin_distribution import plugin_distribution
from otbench.experiment.plugin_file import plugin_file
from otbench.methods import METHODS, Method
from otbench.problems import PROBLEMS, Problem


@dataclass(frozen=True)
class Known:
    """The problems and methods that an experiment may name: otbench's own, and those of the plugins it was given."""

    problems: Mapping[str, type[Problem]]
    methods: Mapping[str, type[Method]]


def plugin(name: str | Path) -> Plugin:
    """Problems and methods of your own, read because you name them here.

    Args:
        name: a Python file with subclasses of ``otbench.problems.Problem`` and ``otbench.methods.Method``; or an
            installed distribution that offers such classes as entry points ``otbench.problems`` and
            ``otbench.methods``.

    Returns:
        A ``Plugin``: ``problem`` and ``method`` make its descriptions, ``problems`` and ``methods`` name them.

    Raises:
        InputError: no such file or distribution; it does not import, defines nothing, takes a name of otbench's own,
            or defines one twice.
    """
    found = identified(name)
    found.load()
    return found


def identified(name: str | Path) -> Plugin:
    """A plugin with the digest of its content, of which nothing is imported yet: what is needed to look at rows.

    Raises:
        InputError: there is no such file or distribution.
    """
    text = str(name)
    return plugin_file(Path(text)) if text.endswith(".py") else plugin_distribution(text)


def known(plugins: Sequence[Plugin] = ()) -> Known:
    """What there is to name.

    Raises:
        InputError: two of the plugins define one name.
    """
    problems, methods = dict(PROBLEMS), dict(METHODS)
    owners: dict[tuple[str, str], Plugin] = {}
    for each in dict.fromkeys(plugins):
        for kind, named in defined(each).items():
            for name in named:
                if (other := owners.setdefault((kind, name), each)) is not each:
                    raise InputError(f"plugins {other.name} and {each.name} both define the {kind} {name!r}: "
                                     "give one of them")  # fmt: skip
        problems |= each.problems
        methods |= each.methods
    return Known(problems, methods)
