"""Looking at the data before and while training: counts, checks, and evaluation."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from relaxeq.curvature import Batch, checked_batch
from relaxeq.errors import DataError, NumericsError
from relaxeq.likelihoods import Categorical, Likelihood


def inspect(net: nn.Module, loader: Iterable[Batch], likelihood: Likelihood, name: str) -> int:
    """N, after every batch was looked at: pairs, finite inputs, targets that fit the outputs.

    The network itself sees one datum only.
    """
    count, outputs = 0, None
    for batch in loader:
        inputs, targets = checked_batch(batch, net)
        if outputs is None:
            outputs = _one_output(net, inputs)
        likelihood.check(outputs.expand(len(inputs), -1), targets)
        count += len(inputs)
    if not count:
        raise DataError(f"{name} gave no data: pass a loader with at least one (x, y) batch.")
    return count


@torch.no_grad()
def _one_output(net: nn.Module, inputs: Tensor) -> Tensor:
    mode = net.training
    outputs: Tensor = net.eval()(inputs[:1])
    net.train(mode)
    return outputs


@torch.no_grad()
def evaluate(net: nn.Module, loader: Iterable[Batch], likelihood: Likelihood) -> dict[str, float]:
    """Mean NLL in nats per datum, and for classification the accuracy in [0, 1], in eval mode."""
    mode = net.training
    net.eval()
    count, total, right = 0, 0.0, 0
    for batch in loader:
        inputs, targets = checked_batch(batch, net)
        outputs = net(inputs)
        likelihood.check(outputs, targets)
        count += len(inputs)
        total -= float(likelihood.log_likelihood(outputs, targets))
        if isinstance(likelihood, Categorical):
            right += int((outputs.argmax(1) == targets).sum())
    net.train(mode)
    if not count:
        raise DataError("test_loader gave no data: pass at least one (x, y) batch, or None.")
    metrics = {"test_nll": total / count}
    return metrics | (
        {"test_accuracy": right / count} if isinstance(likelihood, Categorical) else {}
    )


def check_complete(seen: int, count: int, epoch: int) -> None:
    """Every epoch must bring all N data, or precisions and learning rates mean something else."""
    if seen != count:
        raise DataError(
            f"train_loader gave {seen} data in epoch {epoch}, {count} before: pass a loader that can be "
            "read again and again (a DataLoader or a list of batches, not a generator)."
        )


def check_loss(net: nn.Module, loss: Tensor, inputs: Tensor) -> None:
    """Stop at a loss that is not finite, naming the first module whose output is not."""
    if torch.isfinite(loss):
        return
    raise NumericsError(
        f"the loss is {float(loss)}; the first output that is not finite comes from "
        f"{_culprit(net, inputs)!r}. Lower lr, or check that module; the last checkpoint is kept."
    )


@torch.no_grad()
def _culprit(net: nn.Module, inputs: Tensor) -> str:
    found: list[str] = []

    def watch(name: str) -> Any:
        def hook(module: nn.Module, arguments: object, output: object) -> None:
            if not found and isinstance(output, Tensor) and not torch.isfinite(output).all():
                found.append(name)

        return hook

    handles = [m.register_forward_hook(watch(n or "network")) for n, m in net.named_modules()]
    net(inputs)
    for handle in handles:
        handle.remove()
    return found[0] if found else "the loss itself"
