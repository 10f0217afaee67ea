"""What a plugin is: problems and methods of one's own, the rules they keep, and whose fault a failure is."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from otbench.errors import InputError, UnknownNameError
from otbench.experiment.cell import Cell
from otbench.methods import METHODS, Method
from otbench.problems import PROBLEMS, Problem
from otbench.spec import Spec

#: By kind: what a description is a subclass of, which there are without plugins, and what its author must give one of.
BASES: dict[str, type[Spec]] = {"problem": Problem, "method": Method}
OWN: dict[str, Mapping[str, type[Spec]]] = {"problem": PROBLEMS, "method": METHODS}
MUST_GIVE = {"problem": ("coupling", "sample"), "method": ("fit",)}


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
        return cast("Mapping[str, type[Problem]]", defined(self)["problem"])

    @property
    def methods(self) -> Mapping[str, type[Method]]:
        """The methods it defines, by name."""
        return cast("Mapping[str, type[Method]]", defined(self)["method"])

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
        defined(self)

    def blank(self, kind: str, name: str) -> Spec:
        """A description whose fields are not set yet: where pickled ones begin, in whatever process."""
        chosen = defined(self)[kind][name]
        return chosen.__new__(chosen)

    def classes(self) -> Iterator[tuple[str, type[Spec]]]:
        """Every description it defines, with the name it goes by."""
        raise NotImplementedError

    def owns(self, module: str) -> bool:
        """Whether a module is part of it."""
        raise NotImplementedError


@cache
def defined(given: Plugin) -> dict[str, dict[str, type[Spec]]]:
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
def imported(given: Plugin) -> Iterator[None]:
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
