import pytest
import torch
from torch import nn

from charloom.training.optimizer import adam


def test_the_first_update_moves_each_weight_by_the_learning_rate() -> None:
    model = nn.Linear(3, 1, bias=False)
    before = model.weight.detach().clone()
    optimizer = adam(model, 0.01)
    model(torch.tensor([[1.0, -2.0, 0.5]])).sum().backward()
    optimizer.step()
    assert (model.weight.detach() - before).flatten().tolist() == pytest.approx([-0.01, 0.01, -0.01], rel=1e-4)
