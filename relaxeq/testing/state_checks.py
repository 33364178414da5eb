"""Checks of state: what a path saves, and how it follows modes, dtypes, devices and σ² = 0."""

import copy

import torch
from torch import Tensor

from relaxeq.paths import Path
from relaxeq.testing.checks import CheckError, check_close


@torch.no_grad()
def check_state(path: Path, x: Tensor) -> None:
    """A state_dict round trip gives the same map and σ², and modes make no difference to either."""
    path.prior_variance = 0.375
    path.train()
    expected = path(x)
    state = {name: value.clone() for name, value in path.state_dict().items()}
    path.eval()
    check_close(f"{path.label}: forward in eval mode against train mode", path(x), expected)
    _check_same_state(path, state)
    other = copy.deepcopy(path)
    for parameter in other.parameters():
        parameter.add_(1.0)
    other.prior_variance = 2.0
    kept = f"{path.label}: forward in eval mode after its parameters changed in place"
    check_close(kept, other(x), copy.deepcopy(other).train()(x))
    other.load_state_dict(state)
    check_close(f"{path.label}: forward after load_state_dict", other(x), expected)
    if other.prior_variance != path.prior_variance:
        raise CheckError(
            f"{path.label}: prior_variance is {other.prior_variance} after load_state_dict of "
            f"{path.prior_variance}."
        )


def _check_same_state(path: Path, state: dict[str, Tensor]) -> None:
    found = path.state_dict()
    if list(found) != list(state):
        raise CheckError(
            f"{path.label}: state_dict holds {list(state)} in train mode and {list(found)} in eval "
            "mode."
        )
    for name, value in state.items():
        check_close(f"{path.label}: state_dict[{name!r}] in eval mode", found[name], value, 0.0)


@torch.no_grad()
def check_moves(path: Path, x: Tensor) -> None:
    """float32, "meta" and, where there is one, a GPU: outputs follow, and hold the same numbers."""
    path.eval()
    expected = path(x)
    single = _moved(path, x, torch.device("cpu"), torch.float32)
    if single.dtype != torch.float32:
        raise CheckError(f"{path.label}: .float() gives outputs of {single.dtype}.")
    check_close(f"{path.label}: forward in float32", single.double(), expected, 1e-4)
    again = copy.deepcopy(path).float().to(x.dtype)
    again.load_state_dict(path.state_dict())
    check_close(f"{path.label}: forward after .float() and .to({x.dtype})", again(x), expected)
    path.train()  # on "meta" there are no values to keep for eval mode
    for device in ("meta", "cuda") if torch.cuda.is_available() else ("meta",):
        there = _moved(path, x, torch.device(device), x.dtype)
        if there.device.type != device or there.shape != expected.shape:
            raise CheckError(
                f"{path.label}: on {device} it gives {tuple(there.shape)} on {there.device}."
            )
        if device != "meta":
            check_close(f"{path.label}: forward on {device}", there.cpu(), expected)


def _moved(path: Path, x: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    try:
        y: Tensor = copy.deepcopy(path).to(device, dtype)(x.to(device, dtype))
    except (RuntimeError, NotImplementedError) as error:
        raise CheckError(
            f"{path.label}: moved to {device} and {dtype}, it fails: {error} Keep constants as "
            "buffers, and read no values in forward."
        ) from error
    return y


@torch.no_grad()
def check_off(path: Path, x: Tensor) -> None:
    """σ² = 0, of the amplitudes where it has them, draws a map that is exactly 0."""
    work = copy.deepcopy(path)
    (work.amplitudes or work).prior_variance = 0.0
    work.sample_prior_(torch.Generator().manual_seed(4))
    y = work(x)
    if not work.off or bool(y.any()):
        raise CheckError(
            f"{path.label}: under σ² = 0 it gives outputs up to {float(y.abs().max()):.2e}, and "
            f"says off = {work.off}."
        )
