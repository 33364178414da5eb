"""Parts in several threads: same results, same settings, errors told."""

import threading

import pytest
import torch
from threadpoolctl import threadpool_info

from relaxeq.curvature import spectra
from relaxeq.curvature.spectra import eigenvalues
from relaxeq.curvature.threads import in_parallel, symmetric_eigenvalues, workers


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def blas_threads():
    """Threads of every BLAS but torch's own, of which there is one at least (NumPy's)."""
    found = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert found
    return found


def test_results_in_order_and_settings_kept(threads):
    seen, before = set(), blas_threads()

    def note(part):
        seen.add((threading.get_ident(), *blas_threads()))
        return 2 * part

    parts = list(torch.arange(20.0))
    assert in_parallel(note, parts) == [2 * part for part in parts]
    assert len({thread for thread, *_ in seen}) <= threads
    assert {count for _, *counts in seen for count in counts} == {1}
    assert (threading.get_ident() in {thread for thread, *_ in seen}) == (threads == 1)
    assert torch.get_num_threads() == threads
    assert blas_threads() == before


def test_gradients_stay(threads):
    parts = [torch.ones(1, requires_grad=True) for _ in range(4)]
    assert all(found.requires_grad for found in in_parallel(torch.exp, parts))
    with torch.no_grad():
        assert not any(found.requires_grad for found in in_parallel(torch.exp, parts))
    roots = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: symmetric_eigenvalues(a @ a.mT), roots)


def test_errors_are_raised_here(threads):
    def refuse(part):
        if part > 2:
            raise ValueError(f"part {int(part)}")
        return part

    with pytest.raises(ValueError, match="part 3"):
        in_parallel(refuse, list(torch.arange(5.0)))
    assert torch.get_num_threads() == threads


def test_eigenvalues_of_many_parts(threads, monkeypatch):
    monkeypatch.setattr(spectra, "AT_ONCE", 20)
    roots = torch.randn(7, 6, 4, dtype=torch.float64)
    grams = roots @ roots.mT
    truth = torch.linalg.eigvalsh(grams).clamp_min(0.0)
    torch.testing.assert_close(eigenvalues(grams), truth)


def test_blocks_stay_together_where_no_thread_takes_a_part(threads):
    """A device decomposes a batch at once, however many threads the CPU has."""
    grams = torch.ones(6, 2, 2)
    assert workers(grams) == threads
    assert workers(grams.to("meta")) == workers(grams.requires_grad_()) == 1


def test_one_thread_is_the_caller(monkeypatch):
    assert in_parallel(lambda part: part + 1, []) == []
    assert in_parallel(lambda part: torch.tensor(threading.get_ident()), [torch.ones(1)]) == [
        threading.get_ident()
    ]
