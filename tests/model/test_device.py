import os
from pathlib import Path

import pytest
import torch

from charloom.cells import CELLS
from charloom.errors import InputError, RunError
from charloom.model.device import (
    Precision,
    available_devices,
    choose_device,
    describe_device,
    explain_out_of_memory,
    has_kernels,
    make_deterministic,
    precisions,
    set_threads,
    unusable_gpu,
)
from charloom.text.workers import usable_cores
from tests.conftest import Run
from tests.learning import small_model

CPU = torch.device("cpu")
REMEDY = "lower train.batch_size"


def test_auto_is_an_nvidia_gpu_or_the_cpu() -> None:
    expected = "cuda" if "cuda" in available_devices() else "cpu"
    assert choose_device("auto", "train.device").type == expected


def test_a_gpu_that_torch_cannot_use_is_named_with_a_remedy(tmp_path: Path) -> None:
    assert unusable_gpu(tmp_path / "no-driver") == unusable_gpu(tmp_path) == ""
    (tmp_path / "0000:01:00.0").mkdir()
    remedy = "install one with CUDA" if torch.version.cuda is None else "update NVIDIA's driver"
    assert remedy in unusable_gpu(tmp_path)


@pytest.mark.parametrize(
    ("architectures", "capability", "expected"),
    [
        (["sm_80", "sm_86"], (8, 9), True),
        (["sm_80", "sm_86"], (9, 0), False),
        (["sm_80", "compute_80"], (12, 0), True),
        (["sm_75", "sm_80"], (7, 0), False),
        (["sm_90a", "sm_120"], (9, 0), True),
        ([], (8, 0), False),
    ],
)
def test_a_build_of_torch_has_code_for_some_gpus(
    architectures: list[str], capability: tuple[int, int], expected: bool
) -> None:
    assert has_kernels(architectures, capability) == expected


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


def test_auto_divides_the_cores_among_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
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
    with Precision("fp32", CPU).forward():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize("cell", CELLS)
def test_bf16_trains_every_cell_if_the_cpu_supports_it(cell: str) -> None:
    if "bf16" not in precisions(CPU):
        with pytest.raises(InputError, match=r"train\.precision = 'bf16': this machine's cpu supports only fp32"):
            Precision("bf16", CPU)
        return
    model = small_model(5, cell=cell)
    with Precision("bf16", CPU).forward():
        logits, _ = model(torch.ones(2, 1, dtype=torch.int64))
    assert logits.dtype == torch.bfloat16
    logits.sum().backward()
    assert all(weights.grad is not None and weights.grad.isfinite().all() for weights in model.parameters())


def test_a_new_model_switches_tf32_off() -> None:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    small_model(5)
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


def test_an_unsupported_precision_is_an_error() -> None:
    with pytest.raises(InputError, match=r"train\.precision = 'tf32': this machine's cpu supports only fp32"):
        Precision("tf32", CPU)


def test_out_of_memory_says_what_to_lower() -> None:
    with pytest.raises(RunError, match=r"out of memory; lower train\.batch_size"), explain_out_of_memory(REMEDY):
        torch.empty(2**60, dtype=torch.uint8)


def test_other_errors_pass_through() -> None:
    with pytest.raises(RuntimeError, match="size"), explain_out_of_memory(REMEDY):
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
