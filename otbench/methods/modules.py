"""A user's torch module as a critic: a copy is read, in float64 where it can be; a clip value must be true."""

import copy
import math
import numbers
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from otbench.errors import InputError
from otbench.methods.claims import Claim
from otbench.methods.functions import EPS, clip_constant, one_value_a_point, rounding_of, spectral_constant
from otbench.methods.lipschitz.everywhere import lipschitz_everywhere
from otbench.methods.product_convolution import ProductConvolutions
from otbench.types import Array

#: What a module raises that cannot compute in a type, by itself or through a check of its own.
UNFIT = (RuntimeError, TypeError, ValueError, AssertionError, AttributeError, LookupError)

#: Modules that hand their points on to the one inside, on devices they choose.
WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)

#: Share of the clip value from which a parameter counts as saturated.
SATURATED = 0.999

#: By how much, relatively, float32's rounding of the clip value may exceed it.
CLIP_ROUNDING = 6e-8

#: Numbers that a module is handed at once: 64 images of 3 x 32 x 32.
NUMBERS_AT_ONCE = 3 * 2**16

#: Hooks that compute a weight from parameters before every call.
COMPUTING = (WeightNorm, SpectralNorm, BasePruningMethod)


class TorchFunction:
    """A torch module in evaluation mode, read from a copy; the module handed in is left as it was.

    It is read in float64. One that cannot be (it turns its points to float32, say) is read in its own type, and
    ``eps``, the unit of rounding of its values, is then that type's. ``clip`` is the clip value that its weights are
    held to; None takes the largest weight there is. ``shape`` is that of a point as the module takes it, where it is no
    vector. ``lipschitz`` is what is claimed of its constant, or of those of modules inside (``claims.Claim``).

    Raises:
        InputError: a module with lazy layers not yet run, which cannot be copied, or with a weight beyond ``clip``.
    """

    def __init__(
        self,
        module: nn.Module,
        clip: float | None = None,
        shape: tuple[int, ...] | None = None,
        lipschitz: Any = None,
    ) -> None:
        module = _inside(module)
        self.claim = Claim(lipschitz, module)
        _check_run(module)
        with _plainly():
            own = _private_copy(module)
            self.double = _on_the_cpu(copy.deepcopy(own).double(), torch.float64)
        kind = next((p.dtype for p in own.parameters() if p.is_floating_point()), torch.float32)
        self.readings = [(self.double, torch.float64), (own, kind)]
        self.shape, self.eps = shape, EPS["float64"]
        self.point, self.unknown = shape, ""
        self.clip = None if clip is None else _true_clip(clip, own)
        self.highest = 0.0 if self.clip is None else _highest(self.clip, kind)

    def values(self, z: Array) -> Array:
        return np.concatenate([self._values(part) for part in _parts_of(z)])

    def _values(self, z: Array) -> Array:
        with _plainly(), torch.no_grad():
            output = self._read(z)[1]
        return self._checked(output, len(z))

    def gradients(self, z: Array) -> Array | None:
        """grad f(z) (k, d); None where the module varies but hands none back, or one that is not finite."""
        return self.values_and_gradients(z)[1]

    def values_and_gradients(self, z: Array) -> tuple[Array, Array | None]:
        """Both, from one forward where the module runs alike with gradients and without."""
        parts = [self._values_and_gradients(part) for part in _parts_of(z)]
        values, gradients = zip(*parts, strict=True)
        known = [part for part in gradients if part is not None]
        return np.concatenate(values), np.concatenate(known) if len(known) == len(parts) else None

    def _values_and_gradients(self, z: Array) -> tuple[Array, Array | None]:
        readings = self.readings
        with _plainly():
            try:
                points, output = self._read(z)
            except UNFIT:
                output = None
            if output is not None and self.readings == readings:
                values = self._checked(output, len(z))
                try:
                    return values, _gradients(points, output)
                except UNFIT:
                    return values, None
        self.readings = readings
        values = self._values(z)
        with _plainly():
            try:
                return values, _gradients(*self._read(z))
            except UNFIT:
                return values, None

    def constants(self) -> tuple[float | None, float | None]:
        """K(c) and the product of spectral norms of a chain of Linear layers with 1-Lipschitz activations, as WGAN
        critics are; of any other module what ``otbench.methods.lipschitz`` finds, and what was claimed. Where it finds
        none ``unknown`` says why."""
        return self.claim.beside(*self._own_constants())

    def _own_constants(self) -> tuple[float | None, float | None]:
        weights = _linear_chain(self.double)
        if weights is not None:
            largest = max(float(np.abs(w).max()) for w in weights)
            shapes = [w.shape for w in weights]
            return clip_constant(max(self.clip or largest, largest), shapes), spectral_constant(weights)
        if self.point is None:
            self.unknown = "it depends on the shape of the points, and none was read"
            return None, None
        module, kind = self.readings[0]
        with _plainly():
            found = lipschitz_everywhere(module, self.point, kind, clip=self.clip, given=self.claim.of_parts)
        self.unknown = found.reason or ""
        return found.entries, found.spectral

    @property
    def saturation(self) -> float | None:
        """Share of the parameters held to ``clip`` with |theta| >= 0.999 clip, None where there are none; biases count
        among them where every one is within the clip value."""
        if self.clip is None:
            return None
        sizes = _sizes(self.double)
        if any(size.max() > self.highest for size in sizes.values()):
            sizes = {name: size for name, size in sizes.items() if not _is_bias(name)}
        return float((np.concatenate([*sizes.values()]) >= SATURATED * self.clip).mean()) if sizes else None

    def _checked(self, output: Any, count: int) -> Array:
        self.eps = max(rounding_of(output), EPS[str(self.readings[0][1]).removeprefix("torch.")])
        return one_value_a_point(output, count)

    def _read(self, z: Array) -> tuple[Tensor, Any]:
        """The points as the module takes them and what it returns for a copy of them, in the first type that it runs
        in; from then on in that type alone."""
        for k, (module, kind) in enumerate(self.readings):
            self.point = self.shape or z.shape[1:]
            points = torch.from_numpy(np.array(z)).reshape(len(z), *self.point).to(kind)
            points.requires_grad_(torch.is_grad_enabled())
            try:
                with ProductConvolutions():
                    output = module(points.clone())  # its first layer may work in place
            except UNFIT:
                if k + 1 == len(self.readings):
                    raise
                continue
            self.readings = self.readings[k:]
            return points, output
        raise AssertionError("the last reading returns or raises")


def _parts_of(z: Array) -> list[Array]:
    """Points in parts of about equal sizes whose numbers stay in a processor's cache on their way through a module."""
    return np.array_split(z, max(1, min(len(z) // 2, z.size // NUMBERS_AT_ONCE)))


def _gradients(points: Tensor, output: Any) -> Array | None:
    """The gradients (k, d) of what a module gives for points (k, ...)."""
    total = output.sum()
    seen = torch.autograd.grad(total, points, allow_unused=True)[0] if total.requires_grad else None
    shape = (len(points), math.prod(points.shape[1:]))
    gradients: Array = np.zeros(shape) if seen is None else seen.double().reshape(shape).numpy()
    varies = bool((output != output.flatten()[0]).any())
    return None if (seen is None and varies) or not np.isfinite(gradients).all() else gradients


@contextmanager
def _plainly() -> Iterator[None]:
    """Outside of whatever mode the caller is in: gradients on, no inference mode, no automatic casts."""
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
        yield


def _inside(module: nn.Module) -> nn.Module:
    """The module within those that only distribute or compile it."""
    while True:
        if type(module) in WRAPPERS and not _has_hooks(module):
            module = module.module  # type: ignore[assignment]
        elif type(module).__name__ == "OptimizedModule" and not _has_hooks(module):
            module = module._orig_mod  # type: ignore[assignment]
        else:
            return module


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _check_run(module: nn.Module) -> None:
    if any(nn.parameter.is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers())):
        raise InputError("the critic has lazy layers that have not run yet, hence no weights: run it on a batch first")


def _private_copy(module: nn.Module) -> nn.Module:
    """A copy on the CPU in evaluation mode, in the module's own types.

    Tensors that are part of a graph, such as the weight that weight_norm computes, are copied as the numbers they hold.
    """
    computed = [t for part in module.modules() for t in _tensors(vars(part)) if not t.is_leaf]
    try:
        twin = copy.deepcopy(module, {id(tensor): tensor.detach().clone() for tensor in computed})
    except Exception as error:
        raise InputError(
            f"the critic cannot be copied ({type(error).__name__}: {' '.join(str(error).split())[:100]}): "
            "pass a function of an (n, d) numpy array that calls it"
        ) from error
    for part in list(twin.modules()):
        for name, child in part.named_children():
            part._modules[name] = _inside(child)
    for parameter in filter(lambda each: each.is_leaf, twin.parameters()):
        parameter.requires_grad_(False)  # gradients are those of the points alone
    return _on_the_cpu(twin.eval().cpu(), None)


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in a value, also inside lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)


def _on_the_cpu(module: nn.Module, kind: torch.dtype | None) -> nn.Module:
    """The module with the tensors that it keeps as plain attributes there too, in another float type unless None."""
    for part in module.modules():
        for name, value in list(vars(part).items()):
            if name not in ("_parameters", "_buffers", "_modules") and next(_tensors(value), None) is not None:
                vars(part)[name] = _moved(value, kind)
    return module


def _moved(value: Any, kind: torch.dtype | None) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to("cpu", kind if value.is_floating_point() else None)
    if type(value) is dict:
        return {key: _moved(part, kind) for key, part in value.items()}
    return type(value)(_moved(part, kind) for part in value) if type(value) in (list, tuple) else value


def _true_clip(clip: Any, module: nn.Module) -> float:
    """The clip value, refused where a parameter other than a bias exceeds it: WGAN clips those too, others do not."""
    if isinstance(clip, bool) or not isinstance(clip, numbers.Real) or not 0 < float(clip) < np.inf:
        raise InputError(f"clip must be a finite number above 0; got {' '.join(repr(clip).split())[:60]}")
    value = float(clip)
    kind = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    sizes = {name: float(size.max()) for name, size in _weights(module).items() if not _is_bias(name)}
    name = max(sizes, key=lambda name: sizes[name], default="")
    if name and sizes[name] > _highest(value, kind):
        raise InputError(
            f"clip is {value:g}, but the critic has a weight of size {sizes[name]:g} ({name}): "
            "it is not clipped to that; pass its own clip value, or leave clip out"
        )
    return value


def _sizes(module: nn.Module) -> dict[str, Array]:
    """|theta| of every parameter that has entries, by its name."""
    return {
        name: parameter.detach().abs().double().numpy().ravel()
        for name, parameter in module.named_parameters()
        if parameter.numel()
    }


def _weights(module: nn.Module) -> dict[str, Array]:
    """|theta| of every parameter and of every weight that a hook or a parametrization computes, by its name."""
    found = _sizes(module)
    with _plainly(), torch.no_grad():
        for prefix, part in module.named_modules():
            for name, tensor in _computed(part):
                if tensor.numel():
                    found[f"{prefix}.{name}".lstrip(".")] = tensor.detach().abs().double().numpy().ravel()
    return found


def _computed(part: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The weights of a layer that are computed from its parameters, as they are now."""
    for hook in part._forward_pre_hooks.values():
        if isinstance(hook, COMPUTING):
            hook(part, ())
            name = hook._tensor_name if isinstance(hook, BasePruningMethod) else hook.name
            yield name, getattr(part, name)
    if is_parametrized(part):
        yield from ((name, getattr(part, name)) for name in part.parametrizations)  # type: ignore[union-attr]


def _highest(clip: float, kind: torch.dtype) -> float:
    """The largest that a parameter of this type is when clamped to the clip value, which its type rounds."""
    return clip * (1 + max(CLIP_ROUNDING, torch.finfo(kind).eps / 2))


def _is_bias(name: str) -> bool:
    return any(part.startswith("bias") for part in name.split("."))


def _linear_chain(module: nn.Module) -> list[Array] | None:
    """The weights of a plain chain of Linear layers and 1-Lipschitz activations ending in one value, else None."""
    if nn.modules.module._global_forward_hooks or nn.modules.module._global_forward_pre_hooks:
        return None
    neutral = {nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Identity, nn.Flatten, nn.Dropout}
    weights = []
    for part in _parts(module):
        # a subclass may compute anything, and so may a hook or a forward of one's own
        if _has_hooks(part) or "forward" in vars(part):
            return None
        if type(part) is nn.Linear:
            weights.append(part.weight.detach().numpy())
        elif type(part) is nn.LeakyReLU and abs(part.negative_slope) <= 1:
            continue
        elif type(part) not in neutral | {nn.Sequential}:
            return None
    return weights if weights and weights[-1].shape[0] == 1 else None


def _parts(module: nn.Module) -> list[nn.Module]:
    """A module and all in it, one used twice counted twice; only plain Sequentials are entered."""
    if type(module) is not nn.Sequential:
        return [module]
    return [module, *(part for child in module for part in _parts(child))]
