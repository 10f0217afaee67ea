"""Anything that somebody calls a critic, made what the ladder reads: a torch module, a function, one of otbench's."""

import sys
from typing import Any

from otbench.errors import InputError
from otbench.methods.claims import Claim
from otbench.methods.functions import Critic, UserCritic, UserFunction


def as_critic(
    critic: Any, clip: float | None = None, shape: tuple[int, ...] | None = None, lipschitz: Any = None
) -> Critic:
    """Any critic as the ladder reads it: otbench's own, a torch module, or a function of numpy arrays.

    ``clip`` is the clip value that the weights of a module are held to. ``shape`` is the shape of a point as modules
    and functions take it, where points are no vectors; otbench's own critics take vectors. ``lipschitz`` is what is
    claimed of the constant of a function, or of a module or its parts (``otbench.methods.claims``).

    Raises:
        InputError: it is not callable; the clip value is false, or given for what is no module; a malformed claim, or
            one for a critic that knows its constants.
    """
    torch = sys.modules.get("torch")  # whoever has a module has loaded torch
    if torch is not None and isinstance(critic, torch.nn.Module):
        from otbench.methods.modules import TorchFunction  # loads torch, which functions of arrays do without

        return TorchFunction(critic, clip, shape, lipschitz)
    if clip is not None:
        raise InputError(
            f"clip is what the weights of a torch module are held to; got {type(critic).__name__}: leave clip out"
        )
    if not isinstance(critic, type):
        if all(hasattr(critic, name) for name in ("values", "gradients", "constants")):
            if lipschitz is not None:
                raise InputError(f"a {type(critic).__name__} tells its constants itself: leave lipschitz out")
            own = type(critic).__module__.split(".")[0] == "otbench"
            return critic if own else UserCritic(critic)
        if callable(critic):
            return UserFunction(critic, shape, Claim(lipschitz).whole)
    what = f"the class {critic.__name__} itself" if isinstance(critic, type) else type(critic).__name__
    raise InputError(f"a critic must be a torch.nn.Module or a function of an (n, d) numpy array; got {what}")
