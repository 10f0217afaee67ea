"""The float32 products of a look through all pairs, a block of rows at a time: by numpy here, or by torch on a device.

Whoever multiplies, a product has the rounding of float32 sums in any order, for which ``pricing`` pays.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from otbench.types import Indices

#: Columns that are multiplied at once: with the rows of a block, a float32 product of 1 MiB, which stays in the
#: second-level cache.
BLOCK_COLS = 1024

#: The same on a device, which has memory for 256 MiB, and is idle between two products.
DEVICE_COLS = 2**18

Factor = NDArray[np.float32]


class Product(Protocol):
    """The product of two factors, (n, k) and (k, m), which is looked at a block of rows at a time."""

    def near(self, rows: slice) -> tuple[Indices, Indices]:
        """The entries of a block that are not above 0, those that are no number among them: rows and columns."""
        ...

    def lowest(self, rows: slice, less: Factor) -> Factor:
        """The least root of an entry less its column's number in ``less`` (m,), of every row of a block."""
        ...

    def ranked(self, rows: slice, less: Factor, rank: int) -> Factor:
        """The same, but of every row that one above which ``rank`` are as low."""
        ...


#: Who multiplies: two factors in, their product out, while a look goes on.
Multiply = Callable[[Factor, Factor], AbstractContextManager[Product]]


class HostProduct:
    """``Product`` by numpy."""

    def __init__(self, left: Factor, right: Factor) -> None:
        self.left, self.right = left, np.ascontiguousarray(right)

    def near(self, rows: slice) -> tuple[Indices, Indices]:
        found_rows, cols = [], []
        for c in range(0, self.right.shape[1], BLOCK_COLS):
            product = self.left[rows] @ self.right[:, c : c + BLOCK_COLS]
            found = np.flatnonzero(~(product > 0))
            if len(found):
                row, col = np.divmod(found, product.shape[1])
                found_rows.append(row + rows.start)
                cols.append(col + c)
        none = np.empty(0, np.intp)
        return np.concatenate([none, *found_rows]), np.concatenate([none, *cols])

    def lowest(self, rows: slice, less: Factor) -> Factor:
        lowest = np.full(len(self.left[rows]), np.inf, np.float32)
        for c in range(0, self.right.shape[1], BLOCK_COLS):
            np.minimum(lowest, self._lengths(rows, c, c + BLOCK_COLS, less).min(axis=1), out=lowest)
        return lowest

    def ranked(self, rows: slice, less: Factor, rank: int) -> Factor:
        block = self._lengths(rows, 0, self.right.shape[1], less)
        block.partition(rank, axis=1)
        return block[:, rank]

    def _lengths(self, rows: slice, first: int, last: int, less: Factor) -> Factor:
        block: Factor = self.left[rows] @ self.right[:, first:last]
        np.maximum(block, 0, out=block)
        np.sqrt(block, out=block)
        block -= less[first:last]
        return block


class DeviceProduct:
    """``Product`` by torch on a device; what is asked for comes back as numpy's."""

    def __init__(self, left: Factor, right: Factor, device: str) -> None:
        self.device = device
        self.left, self.right = self._there(left), self._there(right)

    def near(self, rows: slice) -> tuple[Indices, Indices]:
        found_rows, cols = [], []
        for c in range(0, self.right.shape[1], DEVICE_COLS):
            product = self.left[rows] @ self.right[:, c : c + DEVICE_COLS]
            found = (~(product > 0)).nonzero().cpu().numpy()
            found_rows.append(found[:, 0] + rows.start)
            cols.append(found[:, 1] + c)
        return np.concatenate(found_rows).astype(np.intp), np.concatenate(cols).astype(np.intp)

    def lowest(self, rows: slice, less: Factor) -> Factor:
        steps = range(0, self.right.shape[1], DEVICE_COLS)
        parts = [self._lengths(rows, c, c + DEVICE_COLS, less).amin(dim=1).cpu().numpy() for c in steps]
        found: Factor = np.min(parts, axis=0)
        return found

    def ranked(self, rows: slice, less: Factor, rank: int) -> Factor:
        block = self._lengths(rows, 0, self.right.shape[1], less)
        found: Factor = block.kthvalue(rank + 1, dim=1).values.cpu().numpy()
        return found

    def _lengths(self, rows: slice, first: int, last: int, less: Factor) -> Any:
        block = self.left[rows] @ self.right[:, first:last]
        return block.clamp_(min=0).sqrt_().sub_(self._there(less[first:last]))

    def _there(self, numbers: Factor) -> Any:
        import torch  # loads here: a look by numpy needs none of it

        return torch.from_numpy(np.ascontiguousarray(numbers)).to(self.device)


@contextmanager
def on_host(left: Factor, right: Factor) -> Iterator[Product]:
    """A product by numpy."""
    yield HostProduct(left, right)


@contextmanager
def on_device(left: Factor, right: Factor, device: str) -> Iterator[Product]:
    """A product by torch on a device, whose rounding is that of float32 while it is open.

    Raises:
        MemoryError: the device's memory does not hold it.
    """
    import torch

    try:
        with whole_float32():
            yield DeviceProduct(left, right, device)
    except torch.OutOfMemoryError as error:
        raise MemoryError(f"{device}: {str(error).splitlines()[0]}") from None


def whole_float32() -> AbstractContextManager[None]:
    """A context in which torch multiplies float32 by float32."""
    return float32_products("highest")


@contextmanager
def float32_products(precision: Literal["highest", "high"]) -> Iterator[None]:
    """Within this context torch multiplies float32 by float32, or, where "high" will do, rounds factors to ten bits on
    a GPU that can, as TensorFloat-32. Afterwards it does as it did before, which may be either, or seven bits.
    """
    import torch

    backends: Any = torch.backends
    rooms = (backends.cuda, backends.mkldnn)
    with _unwarned():
        parts = [room.matmul for room in rooms if hasattr(getattr(room, "matmul", None), "fp32_precision")]
        each = [part.fp32_precision for part in parts]
        try:
            all_of_them = torch.get_float32_matmul_precision()
        except RuntimeError:  # it was set part by part, which the older name refuses to tell
            all_of_them = None
        torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        with _unwarned():
            if all_of_them is not None:
                torch.set_float32_matmul_precision(all_of_them)
            for part, before in zip(parts, each, strict=True):
                part.fp32_precision = before


@contextmanager
def _unwarned() -> Iterator[None]:
    """Within this context torch 2.9 to 2.11 do not warn of the older name: a compiler of theirs refuses what is set by
    the newer one alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Please use the new API settings to control TF32")
        yield


def multiplier(device: str) -> Multiply:
    """Who multiplies for a device: numpy for the CPU, torch for any other."""
    return on_host if device == "cpu" else partial(on_device, device=device)
