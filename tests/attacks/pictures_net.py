"""A small classifier of small pictures, trained in half a second, that attacks of middling strength sometimes fool."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

MEAN, STD = 0.4, 0.2
CLASSES, SIDE = 5, 8


class Standardise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x - MEAN) / STD


def pictures(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """A blurred pattern a class, under noise; pixels reach both ends of the box."""
    patterns = torch.rand(CLASSES, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(CLASSES, (n,), generator=draw)
    noise = torch.randn(n, 2, SIDE, SIDE, generator=draw)
    return (0.5 + 0.5 * (patterns[y] - 0.5) + 0.25 * noise).clamp(0, 1), y


@pytest.fixture(scope="session")
def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = nn.Sequential(
            Standardise(),
            nn.Conv2d(2, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ELU(),
            nn.Dropout(0.1),
            nn.Flatten(),
            nn.Linear(6 * SIDE * SIDE, CLASSES),
        )
        x, y = pictures(400, seed=1)
        optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(60):
            optimiser.zero_grad()
            cross_entropy(model(x), y).backward()
            optimiser.step()
        optimiser.zero_grad()
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def clean(net: nn.Module) -> tuple[Tensor, Tensor]:
    """Held-out pictures that the net gets right."""
    x, y = pictures(80, seed=2)
    right = net(x).argmax(1) == y
    return x[right][:40], y[right][:40]
