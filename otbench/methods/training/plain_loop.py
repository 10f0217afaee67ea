"""The plain loop: the WGAN critic loop that everyone copies, against which every engine is timed."""

import torch
from torch import Tensor, nn

from otbench.methods.training.recipes import ClippedRecipe
from otbench.types import SamplePair


class PlainLoop:
    """One critic as a torch module, with zero_grad, backward, RMSprop and one clamp per parameter in every step.

    Source: the wgan loop of PyTorch-GAN, after Arjovsky, Chintala, Bottou 2017, Algorithm 1.
    """

    def __init__(self, pair: SamplePair, method: ClippedRecipe, device: str) -> None:
        layers: list[nn.Module] = []
        for rows, cols in method.shapes(pair.dim):
            layers += [nn.Linear(rows, cols), nn.ReLU()]
        self.critic = nn.Sequential(*layers[:-1]).to(device)
        self.optimiser = torch.optim.RMSprop(self.critic.parameters(), lr=method.rate)
        self.x, self.y = (torch.from_numpy(z).float().to(device) for z in (pair.x, pair.y))
        self.clip, self.batch = method.clip, int(method.batch)

    def prepare(self) -> None:
        """Do a first step, which sets up autograd and the optimiser."""
        self.run(0, 1)

    def run(self, first: int, last: int) -> None:
        """Do steps first ... last - 1."""
        for _ in range(first, last):
            self.optimiser.zero_grad()
            loss = -self.critic(self._some(self.x)).mean() + self.critic(self._some(self.y)).mean()
            loss.backward()
            self.optimiser.step()
            for parameter in self.critic.parameters():
                parameter.data.clamp_(-self.clip, self.clip)

    def _some(self, points: Tensor) -> Tensor:
        return points[torch.randint(len(points), (self.batch,), device=points.device)]
