"""Funnel pairs as the W1 benchmark's repository has them: state dicts in .pt files, and nothing that they could run."""

import io
import re
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

from otbench.errors import InputError
from otbench.files import read_bounded

#: The tensors of a pair: the centres (funnels, dim) and the biases (funnels,).
STATE = ("net.centers", "net.bias")

#: Where a folder has pairs: it is one of these or holds one, as a clone of the benchmark's repository does.
LAYOUTS = ("benchmarks/nd", "nd", ".")

#: The folders of a pair, and its file. 8 is the power of the map with which the pairs were published.
_NAMES = (r"dim_([1-9]\d{0,7})", r"width_([1-9]\d{0,7})", r"deg_8_seed_\d+\.pt")


def checkpoint_files(folder: Path) -> dict[tuple[int, int], Path]:
    """The file of each pair (dim, funnels) below a folder, as dim_DIM/width_FUNNELS/deg_8_seed_SEED.pt.

    Raises:
        InputError: there are none, or two of one pair.
    """
    top = next(folder / layout for layout in LAYOUTS if (folder / layout).is_dir())
    found: dict[tuple[int, int], Path] = {}
    for file in sorted(top.glob("dim_*/width_*/*.pt")):
        place = place_of(file)
        if place is None or not re.fullmatch(_NAMES[2], file.name):
            continue
        if place in found:
            raise InputError(f"{file.parent} has two pairs, {found[place].name} and {file.name}; name the file itself")
        found[place] = file
    if not found:
        layout = f"{LAYOUTS[0]}/dim_DIM/width_FUNNELS/deg_8_seed_SEED.pt"
        raise InputError(f"{folder} has no funnel pairs: a folder has them as {layout}")
    return dict(sorted(found.items()))


def place_of(file: Path) -> tuple[int, int] | None:
    """The dimension and the number of funnels that a file's folders say; None where they are named otherwise."""
    folders = (file.absolute().parent.parent.name, file.absolute().parent.name)
    dim, funnels = (re.fullmatch(name, folder) for name, folder in zip(_NAMES, folders, strict=False))
    return None if dim is None or funnels is None else (int(dim[1]), int(funnels[1]))


def read_state(file: Path, limit: int) -> dict[str, Any]:
    """The tensors of a pair's state dict by their names, as they were saved.

    Torch looks at no checksums, so these are looked at first. It then makes tensors, of which a state dict consists,
    and refuses whatever else a file names.

    Raises:
        InputError: no such file; more than ``limit`` bytes of it, as it lies there or unpacked; it is damaged, names
            anything but tensors, or is no state dict of a pair.
    """
    archive = _unharmed(file, limit)
    import torch  # loads here, not when an experiment is read

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch thinks of a file that it then refuses
            state = torch.load(archive, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  torch says nowhere what it raises of a file that it did not write
        what = f"it is damaged, or holds something else, which is never loaded ({type(error).__name__})"
        raise InputError(f"{file} is no state dict of tensors: {what}") from None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{file} is no state dict of tensors: it is a {type(state).__name__} of other things")
    if set(state) != set(STATE):
        names = ", ".join(sorted(map(str, state))) or "nothing"
        raise InputError(f"{file} must hold {' and '.join(STATE)} alone; it holds {_first_line(names)}")
    for name, tensor in state.items():
        if tensor.numel() * 8 > limit:
            raise InputError(f"{file}: {name} has {tensor.numel()} numbers, more than a file of pairs may have")
    return dict(state)


def _unharmed(file: Path, limit: int) -> io.BytesIO:
    """The archive in a file as torch writes it, packed anew of parts whose checksums fit, and of an affordable size.

    Torch is handed the parts that were looked at: of a damaged directory it could read others.
    """
    packed = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(read_bounded(file, limit))) as archive:
            if sum(member.file_size for member in archive.infolist()) > limit:
                raise InputError(f"{file} unpacks to more than {limit / 2**20:.0f} MiB")
            with zipfile.ZipFile(packed, "w") as anew:
                for name in dict.fromkeys(archive.namelist()):
                    anew.writestr(name, archive.read(name))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{file} is no file of torch.save, or damaged: {_first_line(error)}") from None
    packed.seek(0)
    return packed


def _first_line(reason: object) -> str:
    """What was said, in one line that is not long."""
    words = " ".join(str(reason).split()) or type(reason).__name__
    return words if len(words) <= 160 else f"{words[:160]}..."
