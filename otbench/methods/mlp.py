"""A trained multilayer perceptron as a float64 function: its values, its gradients and its Lipschitz constants."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from otbench.methods.functions import clip_constant, spectral_constant
from otbench.types import Array, Indices

Activation = Literal["relu", "leaky_relu", "tanh"]

#: Activations that sort: each pair of neighbouring units, the larger first, or all units of a layer, descending.
SortingActivation = Literal["maxmin", "full_sort"]

AnyActivation = Activation | SortingActivation

#: The slope of LeakyReLU below 0, as in the WGAN loops that everyone copies.
LEAK = 0.2


@dataclass(frozen=True, eq=False)
class Mlp:
    """A function f: R^d → R of layers z ↦ act(z W + b), in which weights[l] is (in, out) and biases[l] is (out,).

    ``clip`` is the clip value c that the weights were held to; None where they were not.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activation: AnyActivation = "relu"
    clip: float | None = None

    def values(self, z: Array) -> Array:
        """f(z) (k,) at points z (k, d)."""
        return self._layers(z)[-1][:, 0]

    def outputs(self, z: Array) -> Array:
        """All outputs (k, o) at points z (k, d), of a network with o of them."""
        return self._layers(z)[-1]

    def gradients(self, z: Array) -> Array:
        """grad f(z) (k, d) by the chain rule; at a kink of the activation its derivative from the left, as in torch."""
        outputs = self._layers(z)
        gradient = np.broadcast_to(self.weights[-1][:, 0], (len(z), len(self.weights[-1])))
        for layer in range(len(self.weights) - 2, -1, -1):
            before = outputs[layer - 1] if layer else z
            gradient = self._chain(gradient, before, outputs[layer], layer) @ self.weights[layer].T
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
        if self.activation == "tanh":
            return np.tanh(z)
        return np.take_along_axis(z, self._order(z), axis=1)

    def _order(self, z: Array) -> Indices:
        """Which unit comes to each place (k, h) of a layer that sorts its inputs z (k, h)."""
        if self.activation == "full_sort":
            return np.argsort(-z, axis=1, kind="stable")
        swapped = z[:, 1::2] > z[:, ::2]
        first = np.arange(0, z.shape[1], 2)
        return np.stack([first + swapped, first + 1 - swapped], axis=2).reshape(z.shape)

    def _chain(self, gradient: Array, before: Array, output: Array, layer: int) -> Array:
        """The gradient by a layer's inputs to its activation, from that by its outputs."""
        if self.activation == "relu":
            return gradient * (output > 0)
        if self.activation == "leaky_relu":
            return gradient * np.where(output > 0, 1.0, LEAK)
        if self.activation == "tanh":
            return gradient * (1.0 - output**2)
        unsorted = np.empty_like(output)
        order = self._order(before @ self.weights[layer] + self.biases[layer])
        np.put_along_axis(unsorted, order, gradient, axis=1)
        return unsorted
