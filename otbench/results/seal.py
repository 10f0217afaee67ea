"""The seal of a results folder: checksums of what was measured, so that an edit afterwards is seen."""

import hashlib
from pathlib import Path

from otbench.files import write_atomically
from otbench.results.store import Results

#: The file of checksums, in the format of sha256sum: ``sha256sum -c sealed.sha256`` checks it too.
SEAL = "sealed.sha256"


def seal(results: Results) -> None:
    """Write the checksums of a folder's rows or measurements; to be called at the end of what wrote them."""
    write_atomically(results.folder / SEAL, _lines(results).encode())


def unseal(results: Results) -> None:
    """Take the seal off, before any row is added, moved or set aside: a run that is killed leaves none."""
    (results.folder / SEAL).unlink(missing_ok=True)


def seal_holds(results: Results) -> bool | None:
    """Whether the files are those that were sealed; None where there is no seal."""
    file = results.folder / SEAL
    return file.read_bytes() == _lines(results).encode() if file.is_file() else None


def _lines(results: Results) -> str:
    alone = (results.rows_file, results.packed_file)
    several = [file for file in results.row_files() if file not in alone]
    files = (*alone, *several, results.measurements_file, results.packed_measurements)
    return "".join(f"{_checksum(file)}  {file.name}\n" for file in files if file.is_file())


def _checksum(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
