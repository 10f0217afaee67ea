"""A plugin that is one file, whose bytes travel with its cells."""

import hashlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType

from otbench.errors import InputError
from otbench.experiment.plugin import BASES, Plugin, imported
from otbench.files import DECLARATION_BYTES, read_bounded
from otbench.spec import Spec


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
            with imported(self):
                spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[self.module]
            raise
        return module


class _Source(importlib.abc.SourceLoader):
    """A loader of a module that is held in memory, and may never have been a file of this machine."""

    def __init__(self, name: str, source: bytes) -> None:
        self.name, self.source = name, source

    def get_filename(self, fullname: str) -> str:
        return self.name

    def get_data(self, path: str | bytes) -> bytes:
        return self.source


def plugin_file(path: Path) -> PluginFile:
    try:
        source = read_bounded(path, DECLARATION_BYTES)
    except OSError as error:
        raise InputError(f"plugin {path} cannot be read: {error.strerror}") from None
    return PluginFile(name=path.name, digest=hashlib.sha256(source).hexdigest(), source=source)
