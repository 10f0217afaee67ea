"""Plugins: problems and methods of one's own, in a file or an installed distribution that is named on purpose."""

import hashlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from otbench.errors import InputError, UnknownNameError
from otbench.experiment.cell import Cell
from otbench.files import DECLARATION_BYTES, read_bounded
from otbench.methods import METHODS, Method
from otbench.problems import PROBLEMS, Problem
from otbench.spec import Spec

#: The entry points by which an installed distribution offers what it defines, by kind.
GROUPS = {"problem": "otbench.problems", "method": "otbench.methods"}

#: By kind: what a description is a subclass of, which there are without plugins, and what its author must give one of.
BASES: dict[str, type[Spec]] = {"problem": Problem, "method": Method}
OWN: dict[str, Mapping[str, type[Spec]]] = {"problem": PROBLEMS, "method": METHODS}
MUST_GIVE = {"problem": ("coupling", "sample"), "method": ("fit",)}

Named = Mapping[str, type[Spec]]


@dataclass(frozen=True)
class Known:
    """The problems and methods that an experiment may name: otbench's own, and those of the plugins it was given."""

    problems: Mapping[str, type[Problem]]
    methods: Mapping[str, type[Method]]


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """Problems and methods that are none of otbench's own. Two plugins are equal where their contents are."""

    name: str
    digest: str

    @property
    def mark(self) -> str:
        """What tells this content from any other; it stands in the column ``plugin`` of rows."""
        return f"sha256:{self.digest}"

    @property
    def problems(self) -> Mapping[str, type[Problem]]:
        """The problems it defines, by name."""
        return cast("Mapping[str, type[Problem]]", _defined(self)["problem"])

    @property
    def methods(self) -> Mapping[str, type[Method]]:
        """The methods it defines, by name."""
        return cast("Mapping[str, type[Method]]", _defined(self)["method"])

    def problem(self, name: str, *, folder: str = ".", **fields: Any) -> Problem:
        """One of its problems, as ``otbench.problem`` gives otbench's own."""
        if name not in self.problems:
            raise UnknownNameError(f"problem of plugin {self.name}", name, self.problems)
        return self.problems[name].parse({"name": name, **fields}, folder)

    def method(self, name: str, **fields: Any) -> Method:
        """One of its methods, as ``otbench.method`` gives otbench's own: ``otbench.train`` takes it."""
        if name not in self.methods:
            raise UnknownNameError(f"method of plugin {self.name}", name, self.methods)
        return self.methods[name](name=name, **fields)

    def load(self) -> None:
        """Import it; InputError where that cannot be done here, or where it breaks a rule."""
        _defined(self)

    def blank(self, kind: str, name: str) -> Spec:
        """A description whose fields are not set yet: where pickled ones begin, in whatever process."""
        chosen = _defined(self)[kind][name]
        return chosen.__new__(chosen)

    def classes(self) -> Iterator[tuple[str, type[Spec]]]:
        """Every description it defines, with the name it goes by."""
        raise NotImplementedError

    def owns(self, module: str) -> bool:
        """Whether a module is part of it."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class PluginFile(Plugin):
    """A plugin that is one file, whose bytes travel with it to workers."""

    source: bytes = field(repr=False)

    @cached_property
    def module(self) -> str:
        """What its module is called: by its content, so that another version is another module."""
        return f"otbench_plugin_{self.digest[:16]}"

    def classes(self) -> Iterator[tuple[str, type[Spec]]]:
        """The subclasses of Problem and Method in it that have a name."""
        for value in list(vars(self._loaded()).values()):
            own = isinstance(value, type) and value.__module__ == self.module
            if own and issubclass(value, tuple(BASES.values())):
                name = value.model_fields["name"].default
                if isinstance(name, str):
                    yield name, value

    def owns(self, module: str) -> bool:
        return module == self.module

    def _loaded(self) -> ModuleType:
        if self.module in sys.modules:
            return sys.modules[self.module]
        spec = importlib.util.spec_from_loader(self.module, _Source(self.name, self.source))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[self.module] = module  # where pydantic looks its annotations up
        try:
            with _imported(self):
                spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[self.module]
            raise
        return module


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
        if (here := _distribution(self.name)) != self:
            raise InputError(f"this machine has {here.mark} where {self.mark} is needed: install the same everywhere")
        for entry in _entries(metadata.distribution(self.name)):
            with _imported(self):
                value = entry.load()
            if not (isinstance(value, type) and issubclass(value, BASES[_kind_of(entry)])):
                raise InputError(f"plugin {self.name}: {entry.value} is no {_kind_of(entry)}, as {entry.group} says")
            yield entry.name, value

    def owns(self, module: str) -> bool:
        return module.partition(".")[0] in _roots(_entries(metadata.distribution(self.name)))


class _Source(importlib.abc.SourceLoader):
    """A loader of a module that is held in memory, and may never have been a file of this machine."""

    def __init__(self, name: str, source: bytes) -> None:
        self.name, self.source = name, source

    def get_filename(self, fullname: str) -> str:
        return self.name

    def get_data(self, path: str | bytes) -> bytes:
        return self.source


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
    return _file(Path(text)) if text.endswith(".py") else _distribution(text)


def known(plugins: Sequence[Plugin] = ()) -> Known:
    """What there is to name.

    Raises:
        InputError: two of the plugins define one name.
    """
    problems, methods = dict(PROBLEMS), dict(METHODS)
    owners: dict[tuple[str, str], Plugin] = {}
    for each in dict.fromkeys(plugins):
        for kind, named in _defined(each).items():
            for name in named:
                if (other := owners.setdefault((kind, name), each)) is not each:
                    raise InputError(f"plugins {other.name} and {each.name} both define the {kind} {name!r}: "
                                     "give one of them")  # fmt: skip
        problems |= each.problems
        methods |= each.methods
    return Known(problems, methods)


def plugins_of(cells: Iterable[Cell]) -> list[Plugin]:
    """The plugins that cells need."""
    found = {described.plugin: None for cell in cells for described in (cell.problem, cell.method)}
    return [each for each in found if isinstance(each, Plugin)]


def blamed(error: BaseException) -> str | None:
    """An exception that came through a plugin's code, in one line; None where it came through none.

    Failures of a cell are its row's; this is for what a plugin does before there is any cell.
    """
    given = {described.plugin for base in BASES.values() for described in _below(base)}
    for each in given:
        if isinstance(each, Plugin) and (line := _line_in(each, error)) is not None:
            return _told(each, "failed", error, line)
    return None


def _below(base: type[Spec]) -> Iterator[type[Spec]]:
    """All subclasses of a description."""
    for each in base.__subclasses__():
        yield each
        yield from _below(each)


@contextmanager
def _imported(given: Plugin) -> Iterator[None]:
    """Whatever a plugin raises while it is imported, as an InputError of one line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise InputError(_told(given, "does not import", error, _line_in(given, error))) from error


def _told(given: Plugin, what: str, error: BaseException, line: int | None) -> str:
    said = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())[:200]
    return f"plugin {given.name} {what}: {type(error).__name__}: {said}" + (f" (line {line} of it)" if line else "")


def _line_in(given: Plugin, error: BaseException) -> int | None:
    """The last line of a plugin that an exception went through; None where it went through none."""
    if isinstance(error, SyntaxError) and error.filename == given.name:
        return error.lineno
    line, here = None, error.__traceback__
    while here is not None:
        if given.owns(str(here.tb_frame.f_globals.get("__name__"))):
            line = here.tb_lineno
        here = here.tb_next
    return line


@cache
def _defined(given: Plugin) -> dict[str, dict[str, type[Spec]]]:
    """The descriptions of a plugin by kind and name, each of which knows its plugin from here on."""
    found: dict[str, dict[str, type[Spec]]] = {kind: {} for kind in BASES}
    for name, described in given.classes():
        kind, own = described.kind, OWN[described.kind]
        what = f"plugin {given.name}, class {described.__name__}"
        if name in own:
            raise InputError(f"{what}: {name!r} is a {kind} of otbench's own; give it another name")
        if found[kind].setdefault(name, described) is not described:
            raise InputError(f"{what}: the {kind} {name!r} is defined twice, in {found[kind][name].__name__} too")
        if described.model_fields["name"].default != name:
            raise InputError(f'{what}: its entry point is {name!r}, so it needs name: Literal["{name}"] = "{name}"')
        if "plugin" in described.model_fields:
            raise InputError(f"{what}: a field may not be called plugin, which is a column of rows")
        must = MUST_GIVE[kind]
        if all(_function(described, part) is _function(BASES[kind], part) for part in must):
            raise InputError(f"{what}: a {kind} must give {' or '.join(must)}; see CONTRIBUTING.md")
        described.plugin = given
    if not any(found.values()):
        raise InputError(
            f"plugin {given.name} defines nothing: it needs a subclass of otbench.problems.Problem or "
            'otbench.methods.Method with a field as name: Literal["mine"] = "mine"'
        )
    return found


def _function(described: type[Spec], name: str) -> object:
    """A method of a class, whether it is of its instances or of itself."""
    found = getattr(described, name)
    return getattr(found, "__func__", found)


def _file(path: Path) -> PluginFile:
    try:
        source = read_bounded(path, DECLARATION_BYTES)
    except OSError as error:
        raise InputError(f"plugin {path} cannot be read: {error.strerror}") from None
    return PluginFile(name=path.name, digest=hashlib.sha256(source).hexdigest(), source=source)


def _distribution(name: str) -> PluginDistribution:
    """An installed distribution with its digest, of which nothing is imported yet."""
    try:
        found = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        found = None
    if found is None or not _entries(found):
        there = {entry.dist.name for group in GROUPS.values() for entry in metadata.entry_points(group=group)
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
    return [entry for entry in found.entry_points if entry.group in GROUPS.values()]


def _kind_of(entry: metadata.EntryPoint) -> str:
    return next(kind for kind, group in GROUPS.items() if group == entry.group)


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
