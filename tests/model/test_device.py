import os

import pytest
import torch

from charloom.cells import CELLS
from charloom.errors import InputError, RunError
from charloom.model.device import (
    available_devices,
    choose_device,
    describe_device,
    explain_out_of_memory,
    make_deterministic,
    precisions,
    set_precision,
    set_threads,
    usable_cores,
)
from tests.conftest import Run
from tests.learning import small_model

CPU = torch.device("cpu")


def test_auto_is_the_first_available_device() -> None:
    assert choose_device("auto", "train.device").type == available_devices()[0]
    assert available_devices()[-1] == "cpu"


@pytest.mark.parametrize("wanted", ["cuda", "mps"])
def test_a_missing_device_is_an_error_that_lists_the_available_ones(wanted: str) -> None:
    if wanted in available_devices():
        pytest.skip(f"this machine has {wanted}")
    expected = rf"train\.device = '{wanted}': not on this machine, which has .*cpu; choose one of these, or auto"
    with pytest.raises(InputError, match=expected):
        choose_device(wanted, "train.device")


def test_determinism_fixes_the_random_numbers_and_the_algorithms() -> None:
    draws = []
    for seed in (1, 1, 2):
        make_deterministic(seed)
        draws.append(torch.rand(3).tolist())
    assert draws[0] == draws[1] != draws[2]
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch._C._get_deterministic_fill_uninitialized_memory(), "filling would take time in each step"
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"]


def test_auto_divides_the_cores_among_the_processes() -> None:
    before = torch.get_num_threads()
    try:
        set_threads("auto")
        assert torch.get_num_threads() == usable_cores()
        set_threads("auto", sharing=usable_cores() * 2)
        assert torch.get_num_threads() == 1
        set_threads(3)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_fp32_computes_in_float32() -> None:
    with set_precision("fp32", CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize("cell", CELLS)
def test_bf16_trains_every_cell_if_the_cpu_supports_it(cell: str) -> None:
    if "bf16" not in precisions(CPU):
        with pytest.raises(InputError, match=r"train\.precision = 'bf16': this machine's cpu supports only fp32"):
            set_precision("bf16", CPU)
        return
    model = small_model(5, cell=cell)
    with set_precision("bf16", CPU):
        logits, _ = model(torch.ones(2, 1, dtype=torch.int64))
    assert logits.dtype == torch.bfloat16
    logits.sum().backward()
    assert all(weights.grad is not None and weights.grad.isfinite().all() for weights in model.parameters())


def test_an_unsupported_precision_is_an_error() -> None:
    with pytest.raises(InputError, match=r"train\.precision = 'tf32': this machine's cpu supports only fp32"):
        set_precision("tf32", CPU)


def test_out_of_memory_says_what_to_lower() -> None:
    with pytest.raises(RunError, match=r"out of memory; lower train\.batch_size"), explain_out_of_memory():
        torch.empty(2**60, dtype=torch.uint8)


def test_other_errors_pass_through() -> None:
    with pytest.raises(RuntimeError, match="size"), explain_out_of_memory():
        torch.ones(2) @ torch.ones(3)


def test_a_device_has_a_name() -> None:
    assert describe_device(CPU) == "cpu"


@pytest.mark.parametrize(("policy", "spins"), [(None, "2000"), ("ACTIVE", "")])
def test_idle_threads_spin_briefly_unless_the_user_sets_another_policy(
    run_python: Run, monkeypatch: pytest.MonkeyPatch, policy: str | None, spins: str
) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if policy:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    done = run_python("import os, charloom; print(os.environ.get('GOMP_SPINCOUNT', ''))")
    assert done.stdout.strip() == spins
