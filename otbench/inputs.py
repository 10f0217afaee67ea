"""What people have, made points, weights, vectors of values and whole numbers: nothing is lost or guessed silently."""

import math
import operator
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otbench.errors import InputError

Reals = NDArray[np.float64]

#: Weights must sum to one within this, or within the rounding of the type they come in; it is divided out.
WEIGHT_SUM_TOLERANCE = 1e-9

#: Integers up to this in size are float64 numbers; of larger ones only some are.
LARGEST_WHOLE = 2**53

#: What numpy, torch and pandas raise on an object that they cannot make an array of.
NO_ARRAY = (
    ValueError, TypeError, RuntimeError, NotImplementedError, OverflowError, AttributeError, KeyError, BufferError,
    MemoryError,
)  # fmt: skip


def as_points(name: str, value: Any) -> Reals:
    """A finite, non-empty float64 (n, d) array that can be written to, or an InputError naming the rule it breaks."""
    points = as_reals(name, value)
    if points.ndim != 2:
        remedy = (
            "flatten every point to a row, x.reshape(len(x), -1)"
            if points.ndim > 2
            else "for points on a line use an (n, 1) array, x.reshape(-1, 1)"
        )
        raise InputError(f"{name} must have shape (points, dimensions); got {points.shape}: {remedy}")
    if points.size == 0:
        raise InputError(f"{name} must hold at least one point and one dimension; got {points.shape}")
    if not np.isfinite(points).all():
        row = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])
        raise InputError(f"{name} must be finite; row {row} holds NaN or infinity: drop or repair it")
    return points


def as_weights(name: str, value: Any, count: int) -> Reals:
    """Non-negative float64 weights (count,) summing to one; None gives uniform ones.

    Weights of a narrower type than float64 sum to one only within that type's rounding, which is allowed for.
    """
    if value is None:
        return np.full(count, 1.0 / count)
    weights, eps = _read(f"weights {name}", value)
    if weights.shape != (count,):
        raise InputError(f"weights {name} must have shape ({count},), one per point; got {weights.shape}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        bad = weights[~(weights >= 0) | np.isinf(weights)][0]
        raise InputError(f"weights {name} must be finite and at least 0; found {bad:g}")
    with np.errstate(over="ignore"):
        total = float(weights.sum())
    if abs(total - 1.0) > _sum_tolerance(eps, count):
        remedy = "divide them by their sum"
        if eps > np.finfo(np.float64).eps:
            remedy = "convert them to float64 first, then divide them by their sum"
        raise InputError(f"weights {name} must sum to 1; they sum to {total:.12g}: {remedy}")
    return weights / total


def as_values(name: str, value: Any) -> Reals:
    """A function's values at points, finite float64 (n,), n at least 1, or an InputError."""
    values = as_reals(name, value)
    if values.ndim != 1 or values.size == 0:
        remedy = f": flatten it, {name}.reshape(-1)" if values.ndim == 2 and 1 in values.shape else ""
        raise InputError(f"{name} must be a non-empty vector of critic values; got shape {values.shape}{remedy}")
    if not np.isfinite(values).all():
        raise InputError(f"{name} must be finite; it holds NaN or infinity: the critic has diverged")
    return values


def as_reals(name: str, value: Any) -> Reals:
    """A float64 array of any shape, C-contiguous and writable, holding exactly the numbers handed in.

    Taken: numpy arrays of real numbers, (nested) lists, pandas frames and series of numbers, torch tensors on any
    device and with a graph, half precision and bfloat16 included.

    Raises:
        InputError: text, objects, dates, complex numbers, masks, sparse storage, integers or long doubles that float64
            cannot hold.
    """
    return _read(name, value)[0]


def as_whole(name: str, value: Any, least: int | None = None) -> int:
    """A Python integer from any integer type, arrays without dimensions included; True and False are none.

    Raises:
        InputError: anything else, or a number below ``least``.
    """
    try:
        number = value.item() if getattr(value, "ndim", None) == 0 else value
        whole = None if isinstance(number, bool) else operator.index(number)
    except NO_ARRAY:
        whole = None
    if whole is None or (least is not None and whole < least):
        limit = "" if least is None else f" of at least {least}"
        raise InputError(f"{name} must be a whole number{limit}; got {value!r}")
    return whole


def as_level(value: Any) -> float:
    """A confidence level from any number type; InputError for one that is not between 0 and 1."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < 1:
        raise InputError(f"level must be a number between 0 and 1, as 0.95; got {value!r}")
    return float(number)


def plain(value: Any) -> Any:
    """The value with numpy's numbers as Python's and numpy's arrays as lists, also inside lists and tuples."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (list, tuple):
        return type(value)(plain(part) for part in value)
    return value


def _read(name: str, value: Any) -> tuple[Reals, float]:
    """The float64 array of what was handed in, and the unit of rounding of the type it came in."""
    try:
        array, eps = _as_array(name, value)
        if array.dtype.kind not in "fiub":
            raise InputError(f"{name} must be an array of real numbers; got {type(value).__name__} ({array.dtype})")
        return _exactly(name, array, value), eps
    except InputError:
        raise
    except NO_ARRAY as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{name} must be an array of real numbers; got {type(value).__name__} ({reason})") from None


def _as_array(name: str, value: Any) -> tuple[NDArray[Any], float]:
    """Any array-like as a numpy array, with the unit of rounding of its own type."""
    torch, pandas, sparse = (sys.modules.get(module) for module in ("torch", "pandas", "scipy.sparse"))
    if torch is not None and isinstance(value, torch.Tensor):
        return _of_tensor(name, value, torch)
    if torch is not None and isinstance(value, list | tuple) and any(isinstance(v, torch.Tensor) for v in value):
        parts = [_as_array(name, part) for part in value]
        return np.stack([part for part, _ in parts]), max(eps for _, eps in parts)
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return _of_frame(name, value, pandas)
    if pandas is not None and isinstance(value, pandas.Series | pandas.Index):
        return _of_series(name, value, pandas)
    if isinstance(value, np.ma.MaskedArray):
        what = "MaskedArray (masked): drop or fill what is masked"
        raise InputError(f"{name} must be an array of real numbers; got {what}")
    if sparse is not None and sparse.issparse(value):
        raise InputError(f"{name} must be a dense array; got the sparse {type(value).__name__}: pass its .toarray()")
    try:
        array = np.asarray(value)
    except ValueError:
        if not isinstance(value, list | tuple):
            raise
        raise InputError(
            f"{name} must be an array of real numbers; got {type(value).__name__} with rows of different lengths"
        ) from None
    return array, _rounding(array.dtype)


def _of_tensor(name: str, tensor: Any, torch: Any) -> tuple[NDArray[Any], float]:
    """A tensor off its graph and its device; types that numpy does not know are widened."""
    if tensor.layout != torch.strided:
        raise InputError(f"{name} must be a dense array; got a sparse tensor: pass its .to_dense()")
    if tensor.is_quantized:
        raise InputError(f"{name} must be an array of real numbers; got a quantized tensor: pass its .dequantize()")
    host = tensor.detach().cpu()
    if not host.dtype.is_floating_point:
        return host.resolve_conj().numpy(), 0.0
    return host.double().numpy(), float(torch.finfo(host.dtype).eps)


def _of_frame(name: str, frame: Any, pandas: Any) -> tuple[NDArray[Any], float]:
    """A frame of numeric columns; its index is not part of it."""
    for column in frame.columns:
        if str(column).startswith("Unnamed: "):
            raise InputError(f"{name} has the column {column!r}, an index read as data: read it with index_col=0")
    kinds = set(frame.dtypes)
    if len(kinds) == 1 and isinstance(kind := kinds.pop(), np.dtype) and kind.kind in "fiub":
        return frame.to_numpy(), _rounding(kind)
    columns = np.empty(frame.shape)
    eps = 0.0
    for k, column in enumerate(frame.columns):
        label = f"{name}'s column {column!r}"
        array, its_eps = _of_series(label, frame.iloc[:, k], pandas)
        columns[:, k], eps = _exactly(label, array, array), max(eps, its_eps)
    return columns, eps


def _of_series(name: str, series: Any, pandas: Any) -> tuple[NDArray[Any], float]:
    """One column of numbers, missing ones as NaN; text, dates and categories are refused by its name."""
    kind = series.dtype
    numeric = pandas.api.types.is_numeric_dtype(kind) and not pandas.api.types.is_complex_dtype(kind)
    if not numeric:
        raise InputError(f"{name} must hold real numbers; it holds {kind}: drop or convert it")
    if isinstance(kind, np.dtype):
        array = series.to_numpy()
    elif pandas.api.types.is_integer_dtype(kind) and not series.isna().any():
        array = series.to_numpy(dtype=np.uint64 if "u" in str(kind).lower()[:2] else np.int64)
    else:
        array = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return array, _rounding(array.dtype)


def _rounding(kind: np.dtype[Any]) -> float:
    """The unit of rounding of a type; 0 where it has none."""
    return float(np.finfo(kind).eps) if kind.kind == "f" else 0.0


def _exactly(name: str, array: NDArray[Any], source: Any) -> Reals:
    """The array as float64, refused where that is another number."""
    with np.errstate(over="ignore", invalid="ignore"):
        reals = np.require(array, np.float64, ["C", "W"]).reshape(array.shape)
    lost = None
    if array.dtype.kind in "iu":
        large = np.abs(reals) >= LARGEST_WHOLE
        lost = _first_lost(array[large].tolist()) if large.any() else None
    elif array.dtype.kind == "f" and array.dtype.itemsize > 8:
        changed = (reals != array) & ~np.isnan(array)
        lost = array[changed][0] if changed.any() else None
    elif isinstance(source, list | tuple) and (np.abs(reals) >= LARGEST_WHOLE).any():
        whole = [number for number in np.asarray(source, dtype=object).ravel() if isinstance(number, int | np.integer)]
        lost = _first_lost([int(number) for number in whole])
    if lost is not None:
        raise InputError(f"{name} must fit float64, which cannot hold {lost}: round it, or subtract an offset")
    return reals


def _first_lost(numbers: list[int]) -> int | None:
    """The first of some integers that float64 does not hold."""
    return next((number for number in numbers if int(float(number)) != number), None)


def _sum_tolerance(eps: float, count: int) -> float:
    """How far from 1 the sum of ``count`` weights may be that were divided by their sum in a type of this ``eps``.

    A weight's rounding and the sum's are a few eps; a sum taken one by one in float32 wanders off by eps √count.
    """
    return max(WEIGHT_SUM_TOLERANCE, 2 * eps, min(1e-3, eps * math.sqrt(count)))
