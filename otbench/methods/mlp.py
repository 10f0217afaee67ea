"""A trained multilayer perceptron as a float64 function: its values, its gradients and its Lipschitz constants."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from otbench.methods.functions import clip_constant, spectral_constant
from otbench.types import Array

Activation = Literal["relu", "leaky_relu", "tanh"]

#: The slope of LeakyReLU below 0, as in the WGAN loops that everyone copies.
LEAK = 0.2


@dataclass(frozen=True, eq=False)
class Mlp:
    """A function f: R^d → R of layers z ↦ act(z W + b), in which weights[l] is (in, out) and biases[l] is (out,).

    ``clip`` is the clip value c that the weights were held to; None where they were not.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activation: Activation = "relu"
    clip: float | None = None

    def values(self, z: Array) -> Array:
        """f(z) (k,) at points z (k, d)."""
        return self._layers(z)[-1][:, 0]

    def gradients(self, z: Array) -> Array:
        """grad f(z) (k, d) by the chain rule; at a kink of the activation its derivative from the left, as in torch."""
        outputs = self._layers(z)
        gradient = np.broadcast_to(self.weights[-1][:, 0], (len(z), len(self.weights[-1])))
        for weights, output in zip(self.weights[-2::-1], outputs[-2::-1], strict=False):
            gradient = (gradient * self._derivative(output)) @ weights.T
        return gradient

    def constants(self) -> tuple[float | None, float]:
        """Lipschitz constants from the clip value, None where a weight exceeds it, and from the spectral norms."""
        shapes = [w.shape for w in self.weights]
        inside = self.clip is not None and all(np.abs(w).max() <= self.clip for w in self.weights)
        known = clip_constant(self.clip, shapes) if inside and self.clip is not None else None
        return known, spectral_constant(list(self.weights))

    def _layers(self, z: Array) -> list[Array]:
        """The output (k, out) of every layer; that of the last one is (k, 1)."""
        outputs: list[Array] = []
        for weights, bias in zip(self.weights, self.biases, strict=True):
            z = z @ weights + bias
            if len(outputs) < len(self.weights) - 1:
                z = self._activate(z)
            outputs.append(z)
        return outputs

    def _activate(self, z: Array) -> Array:
        if self.activation == "relu":
            return np.maximum(z, 0.0)
        if self.activation == "leaky_relu":
            return np.where(z > 0, z, LEAK * z)
        return np.tanh(z)

    def _derivative(self, output: Array) -> Array:
        """The activation's derivative, computed from its output, which is all that a layer keeps."""
        if self.activation == "relu":
            return (output > 0).astype(np.float64)
        if self.activation == "leaky_relu":
            return np.where(output > 0, 1.0, LEAK)
        return 1.0 - output**2
