"""A plugin that is an installed distribution, which offers its classes as entry points."""

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from otbench.errors import InputError, UnknownNameError
from otbench.experiment.plugin import BASES, Plugin, imported
from otbench.spec import Spec

#: The entry points by which an installed distribution offers what it defines, by kind.
ENTRY_GROUPS = {"problem": "otbench.problems", "method": "otbench.methods"}


@dataclass(frozen=True, kw_only=True)
class PluginDistribution(Plugin):
    """A plugin that is installed, with entry points ``otbench.problems`` and ``otbench.methods``."""

    version: str

    @property
    def mark(self) -> str:
        return f"{self.name}=={self.version} sha256:{self.digest}"

    def classes(self) -> Iterator[tuple[str, type[Spec]]]:
        """What its entry points name.

        Raises:
            InputError: this machine has other content under its name.
        """
        if (here := plugin_distribution(self.name)) != self:
            raise InputError(f"this machine has {here.mark} where {self.mark} is needed: install the same everywhere")
        for entry in _entries(metadata.distribution(self.name)):
            with imported(self):
                value = entry.load()
            if not (isinstance(value, type) and issubclass(value, BASES[_kind_of(entry)])):
                raise InputError(f"plugin {self.name}: {entry.value} is no {_kind_of(entry)}, as {entry.group} says")
            yield entry.name, value

    def owns(self, module: str) -> bool:
        return module.partition(".")[0] in _roots(_entries(metadata.distribution(self.name)))


def plugin_distribution(name: str) -> PluginDistribution:
    """An installed distribution with its digest, of which nothing is imported yet."""
    try:
        found = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        found = None
    if found is None or not _entries(found):
        there = {entry.dist.name for group in ENTRY_GROUPS.values() for entry in metadata.entry_points(group=group)
                 if entry.dist is not None}  # fmt: skip
        raise UnknownNameError("plugin", name, there, "or pass a path ending in .py")
    offered = sorted(f"{entry.group} {entry.name} {entry.value}\n" for entry in _entries(found))
    digest = hashlib.sha256("".join(offered).encode())
    for root in sorted(_roots(_entries(found))):
        for inside, file in _files_of(root):
            data = file.read_bytes()
            digest.update(f"{inside} {len(data)}\n".encode() + data)
    return PluginDistribution(name=found.name, version=found.version, digest=digest.hexdigest())


def _entries(found: metadata.Distribution) -> list[metadata.EntryPoint]:
    return [entry for entry in found.entry_points if entry.group in ENTRY_GROUPS.values()]


def _kind_of(entry: metadata.EntryPoint) -> str:
    return next(kind for kind, group in ENTRY_GROUPS.items() if group == entry.group)


def _roots(entries: Sequence[metadata.EntryPoint]) -> set[str]:
    """The top-level modules of entry points."""
    return {entry.module.partition(".")[0] for entry in entries}


def _files_of(root: str) -> list[tuple[str, Path]]:
    """The Python files of a top-level module, by their place in it; a module that is not there has none."""
    spec = importlib.util.find_spec(root)
    if spec is None:
        return []
    folders = [Path(folder) for folder in spec.submodule_search_locations or []]
    inside = [(file.relative_to(folder.parent).as_posix(), file) for folder in folders for file in folder.rglob("*.py")]
    return sorted(inside) or ([(f"{root}.py", Path(spec.origin))] if spec.origin else [])
