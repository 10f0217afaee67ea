"""A critic as the ladder sees it: float64 values, gradients where it has them, constants where it knows them."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from otbench.errors import InputError
from otbench.types import Array


class Critic(Protocol):
    """A real function on R^d."""

    def values(self, z: Array) -> Array:
        """f(z) (k,) at points z (k, d), float64."""
        ...

    def gradients(self, z: Array) -> Array | None:
        """grad f(z) (k, d), float64; None where the function offers none."""
        ...

    def constants(self) -> tuple[float | None, float | None]:
        """Lipschitz constants (from the clip value, from the spectral norms); None where unknown."""
        ...


@dataclass(frozen=True, eq=False)
class Affine:
    """f(z) = <slope, z>, with slope (d,): the zero critic and the best linear one."""

    slope: Array

    def values(self, z: Array) -> Array:
        values: Array = z @ self.slope
        return values

    def gradients(self, z: Array) -> Array:
        gradients: Array = np.broadcast_to(self.slope, z.shape)
        return gradients

    def constants(self) -> tuple[None, float]:
        return None, float(np.linalg.norm(self.slope))


@dataclass(frozen=True, eq=False)
class McShane:
    """f(z) = min_j |z - y_j| - v_j: the largest 1-Lipschitz function with f(y_j) <= -v_j.

    With exact dual potentials v (m,) of atoms y (m, d) it is an optimal critic, defined everywhere.

    Source: McShane 1934, Thm 1.
    """

    atoms: Array
    v: Array

    def values(self, z: Array) -> Array:
        values: Array = (cdist(z, self.atoms) - self.v).min(axis=1)
        return values

    def gradients(self, z: Array) -> Array:
        """The unit ray from the active atom; 0 at an atom, where f has a kink."""
        rays = z - self.atoms[(cdist(z, self.atoms) - self.v).argmin(axis=1)]
        lengths = np.linalg.norm(rays, axis=1, keepdims=True)
        gradients: Array = np.divide(rays, lengths, out=np.zeros_like(rays), where=lengths > 0)
        return gradients

    def constants(self) -> tuple[None, float]:
        return None, 1.0


@dataclass(frozen=True, eq=False)
class UserFunction:
    """A user's callable on float64 numpy arrays (k, d) → (k,) or (k, 1)."""

    function: Callable[[Array], Any]

    def values(self, z: Array) -> Array:
        return _flat_values(self.function(z), len(z))

    def gradients(self, z: Array) -> None:
        return None

    def constants(self) -> tuple[None, None]:
        return None, None


@dataclass(frozen=True, eq=False)
class TorchFunction:
    """A torch module read in float64 and evaluation mode; the module handed in is left as it was.

    ``clip`` is the clip value its weights are held to; None takes the largest weight there is.
    """

    module: Any
    clip: float | None = None

    def __post_init__(self) -> None:
        if self.clip is not None and not 0 < self.clip < np.inf:
            raise InputError(f"clip must be a finite number above 0; got {self.clip:g}")
        object.__setattr__(self, "module", copy.deepcopy(self.module).double().cpu().eval())

    def values(self, z: Array) -> Array:
        import torch

        with torch.no_grad():
            return _flat_values(self.module(torch.from_numpy(np.ascontiguousarray(z))), len(z))

    def gradients(self, z: Array) -> Array:
        import torch

        points = torch.from_numpy(np.array(z)).requires_grad_()
        total = self.module(points).sum()
        if not total.requires_grad:  # the module does not look at its points
            return np.zeros_like(z)
        (gradient,) = torch.autograd.grad(total, points, allow_unused=True)
        found: Array = np.zeros_like(z) if gradient is None else gradient.numpy()
        return found

    def constants(self) -> tuple[float | None, float | None]:
        """Known for a chain of Linear layers with 1-Lipschitz activations, as WGAN critics are."""
        weights = _linear_chain(self.module)
        if weights is None:
            return None, None
        largest = max(float(np.abs(w).max()) for w in weights)
        clip = largest if self.clip is None else self.clip
        if largest > clip * (1 + 1e-6):
            raise InputError(
                f"clip is {clip:g}, but the critic has a weight of size {largest:g}: "
                "it is not clipped to that; pass its own clip value, or leave clip out"
            )
        shapes = [w.shape for w in weights]
        return clip_constant(max(clip, largest), shapes), spectral_constant(weights)


def clip_constant(clip: float, shapes: list[tuple[int, ...]]) -> float:
    """K(c) = c^L sqrt(d) prod_i h_i for weights of shapes (h_1, d), (h_2, h_1), ..., (1, h_{L-1}).

    |W|_2 <= |W|_F <= c sqrt(rows cols) in every layer; attained by weights that are all +c with all units active.
    """
    entries = np.prod([float(rows * cols) for rows, cols in shapes])
    return float(clip ** len(shapes) * np.sqrt(entries))


def spectral_constant(weights: list[Array]) -> float:
    """prod_l |W_l|_2, the product of the largest singular values."""
    return float(np.prod([np.linalg.norm(w, 2) for w in weights]))


def as_critic(critic: Any, clip: float | None = None) -> Critic:
    """Any critic as the ladder reads it: otbench's own, a torch module, or a function of numpy arrays.

    Raises:
        InputError: something that is not callable.
    """
    if hasattr(critic, "values") and hasattr(critic, "gradients") and hasattr(critic, "constants"):
        return critic  # type: ignore[no-any-return]
    if hasattr(critic, "state_dict") and hasattr(critic, "double"):  # a torch.nn.Module, without importing torch
        return TorchFunction(critic, clip)
    if callable(critic):
        return UserFunction(critic)
    raise InputError(
        "a critic must be a torch.nn.Module or a function of an (n, d) numpy array; "
        f"got {type(critic).__name__}"
    )


def on_union(
    critic: Critic, x: Array, y: Array
) -> tuple[Array, Array, Array | None, Array | None]:
    """f(x), f(y) and their gradients, each distinct point evaluated once.

    Rounding depends on where a row stands in a matrix product; were shared points evaluated twice, f would
    seem to differ between coincident points, which no Lipschitz function does.
    """
    points, where = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)
    where = where.reshape(-1)
    values, gradients = critic.values(points), critic.gradients(points)
    at_x, at_y = where[: len(x)], where[len(x) :]
    if gradients is None:
        return values[at_x], values[at_y], None, None
    return values[at_x], values[at_y], gradients[at_x], gradients[at_y]


def _flat_values(output: Any, count: int) -> Array:
    output = output.detach().cpu() if hasattr(output, "detach") else output  # a function may answer in tensors
    values = np.asarray(output, dtype=np.float64)
    if values.shape not in ((count,), (count, 1)):
        raise InputError(
            f"a critic must return one value a point, shape ({count},) or ({count}, 1); got {values.shape}"
        )
    return values.reshape(count)


def _linear_chain(module: Any) -> list[NDArray[np.float64]] | None:
    """The weights of a plain chain of Linear layers and 1-Lipschitz activations ending in one value, else None."""
    from torch import nn

    neutral = {nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Identity, nn.Flatten, nn.Dropout}
    weights = []
    for part in _parts(module):
        # a subclass may compute anything, and so may a hook
        if part._forward_hooks or part._forward_pre_hooks:
            return None
        if type(part) is nn.Linear:
            weights.append(part.weight.detach().numpy())
        elif type(part) is nn.LeakyReLU and abs(part.negative_slope) <= 1:
            continue
        elif type(part) not in neutral | {nn.Sequential}:
            return None
    return weights if weights and weights[-1].shape[0] == 1 else None


def _parts(module: Any) -> list[Any]:
    """A module and all in it, one used twice counted twice; only plain Sequentials are entered."""
    from torch import nn

    if type(module) is not nn.Sequential:
        return [module]
    return [module, *(part for child in module for part in _parts(child))]
