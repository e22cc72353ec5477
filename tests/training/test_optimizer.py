import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from charloom.training.optimizer import clip_gradients


def with_gradients(scale: float) -> list[nn.Parameter]:
    random = torch.Generator().manual_seed(1)
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in ((40, 300), (7,), (1, 1))]
    for each in parameters[:2]:  # the third had no part in the loss
        each.grad = torch.randn(each.shape, generator=random) * scale
    return parameters


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6, float("nan")])
def test_clipping_is_torchs_to_the_bit(scale: float) -> None:
    ours, torchs = with_gradients(scale), with_gradients(scale)
    norms = clip_gradients(ours, 1.0), clip_grad_norm_(torchs, 1.0)
    torch.testing.assert_close(*norms, rtol=0, atol=0, equal_nan=True)
    for one, other in zip(ours, torchs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0, equal_nan=True)


def test_clipping_leaves_gradients_within_the_limit_as_they_are() -> None:
    parameters, before = with_gradients(1e-3), with_gradients(1e-3)
    assert clip_gradients(parameters, 1.0) < 1
    for one, other in zip(parameters[:2], before[:2], strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0)
