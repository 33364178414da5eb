"""Looking at the data before and while training: counts, checks, and evaluation."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import RandomSampler

from relaxeq.curvature import Batch, batches, checked_batch, wide
from relaxeq.curvature.batches import AGAIN, check_count
from relaxeq.errors import (
    DataError,
    EvidenceWarning,
    NumericsError,
    RelaxeqError,
    ShapeError,
    SiteError,
)
from relaxeq.likelihoods import Likelihood
from relaxeq.recipe.chunks import parts_of
from relaxeq.recipe.fingerprint import Fingerprint
from relaxeq.recipe.modes import evaluating
from relaxeq.recipe.scores import score_of


def inspect(
    net: nn.Module,
    loader: Iterable[Batch],
    likelihood: Likelihood,
    name: str,
    seen: Fingerprint | None = None,
) -> int:
    """N, after every batch was looked at: pairs, finite inputs, targets that fit the outputs.

    The network itself sees one datum of each shape and dtype only. Errors begin with `name`. The
    data are added to `seen`.
    """
    count, outputs = 0, dict[object, Tensor]()
    for batch in batches(loader, name):
        with _named(name):
            inputs, targets = checked_batch(batch, net)
            kind = (inputs.shape[1:], inputs.dtype)
            if kind not in outputs:
                outputs[kind] = _one_output(net, inputs)
            likelihood.check(outputs[kind].expand(len(inputs), -1), targets)
        if seen is not None:
            seen.add(inputs, targets)
        count += len(inputs)
    check_count(count, name)
    if isinstance(loader, Iterator) and next(iter(loader), None) is None:
        raise DataError(f"{name} gave its {count} data once and has no more: {AGAIN}.")
    return count


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Say whose fault an error of a batch is."""
    try:
        yield
    except (DataError, ShapeError) as error:
        raise type(error)(f"{name}: {error}") from error


@torch.no_grad()
def _one_output(net: nn.Module, inputs: Tensor) -> Tensor:
    try:
        with evaluating(net):
            outputs = net(inputs[:1])
    except RelaxeqError:
        raise
    except (RuntimeError, ValueError, IndexError) as error:
        raise ShapeError(
            f"the network does not take inputs of shape {_shape(inputs)} and {inputs.dtype}: "
            f"{error}. Reshape or convert them, or build the network for them."
        ) from error
    if not isinstance(outputs, Tensor):
        raise ShapeError(
            f"the network must return one tensor (batch, out), got {type(outputs).__name__}: "
            "return what the likelihood reads, and nothing else."
        )
    if outputs.ndim != 2:
        raise ShapeError(
            f"the network must return (batch, out), got shape {tuple(outputs.shape)} for one datum:"
            " flatten its output."
        )
    return wide(outputs)


def _shape(inputs: Tensor) -> str:
    return f"({', '.join(['batch', *map(str, inputs.shape[1:])])})"


@torch.no_grad()
def evaluate(net: nn.Module, loader: Iterable[Batch], likelihood: Likelihood) -> dict[str, float]:
    """Mean NLL in nats per datum, and the likelihood's score (accuracy, RMSE), in eval mode."""
    score = score_of(likelihood)
    count, total, scores = 0, 0.0, 0.0
    with evaluating(net):
        for batch in loader:
            inputs, targets = checked_batch(batch, net)
            outputs = wide(net(inputs))
            likelihood.check(outputs, targets)
            count += len(inputs)
            loss = -likelihood.log_likelihood(outputs.double(), targets)
            check_loss(net, loss, inputs)
            total += float(loss)
            if score is not None:
                scores += float(score.values(outputs, targets).sum())
    if not count:
        raise DataError(f"test_loader gave no data this time: {AGAIN}.")
    metrics = {"test_nll": total / count}
    if score is not None:
        metrics[f"test_{score.name}"] = score.finish(scores / count)
    return metrics


def check_complete(seen: int, count: int, epoch: int) -> None:
    """Every epoch must bring all N data, or precisions and learning rates mean something else."""
    if seen != count:
        raise DataError(f"train_loader gave {seen} data in epoch {epoch}, {count} before: {AGAIN}.")


def check_counts(updates: int, evidence: int) -> None:
    """Both parts of `Loaders` must hold the same N data."""
    if updates != evidence:
        raise DataError(
            f"Loaders.updates gives {updates} data and Loaders.evidence {evidence}: both must read "
            "the same training data, the first perhaps augmented."
        )


def warn_of_left_out(loader: Iterable[Batch], count: int) -> None:
    """Warn where every epoch leaves other data out."""
    _, sampler = parts_of(loader)
    if isinstance(sampler, RandomSampler) and len(sampler) > count:
        warnings.warn(
            f"train_loader leaves {len(sampler) - count} of {len(sampler)} data out, others in "
            "every epoch, so that curvature and evidence are those of other data each time: write "
            "drop_last=False.",
            EvidenceWarning,
            stacklevel=6,
        )


def check_loss(net: nn.Module, loss: Tensor, inputs: Tensor) -> None:
    """Stop at a loss that is not finite, naming the first module whose output is not."""
    if torch.isfinite(loss):
        return
    raise NumericsError(
        f"the loss is {float(loss.detach())}; the first output that is not finite comes from "
        f"{_culprit(net, inputs)!r}. Lower lr, or check that module; the last checkpoint is kept."
    )


def check_connected(loss: Tensor) -> None:
    """Stop where there is nothing to learn."""
    if not loss.requires_grad:
        raise SiteError(
            "the loss depends on no trained parameter of net: give a path a positive "
            "prior_variance, or use a module that is trained."
        )


def check_weights(net: nn.Module, epoch: int) -> None:
    """Stop before weights that are not finite replace those of the last checkpoint."""
    for name, parameter in net.named_parameters():
        if not torch.isfinite(parameter).all():
            raise NumericsError(
                f"parameter {name!r} stopped being finite in epoch {epoch}. Lower lr, or check the "
                "gradient of its module; the last checkpoint is kept."
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
