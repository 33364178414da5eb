"""fit: weights by MAP, prior precisions by the evidence, in one training run (§4, App. F.6)."""

import math
import os
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import torch
from torch import nn

from relaxeq.curvature import (
    Batch,
    Estimate,
    Fisher,
    Flavour,
    Pass,
    Spectrum,
    checked_batch,
    estimate,
    warn_of_normalisation,
    wide,
)
from relaxeq.evidence import Moments, Term, log_marginal_likelihood
from relaxeq.likelihoods import likelihood_from
from relaxeq.recipe.checkpoint import (
    Checkpoint,
    RunFolder,
    check_same_priors,
    check_same_run,
    decode,
    encode,
    network_signature,
)
from relaxeq.recipe.convergence import slope_of
from relaxeq.recipe.data import (
    check_complete,
    check_connected,
    check_counts,
    check_loss,
    check_weights,
    evaluate,
    inspect,
    warn_of_left_out,
)
from relaxeq.recipe.fingerprint import Fingerprint, agree, warn_of_other_data
from relaxeq.recipe.loaders import Loaders, as_loaders
from relaxeq.recipe.noise import learned_noise, relearned, with_noise
from relaxeq.recipe.optimizer import ProximalAdam
from relaxeq.recipe.options import Options, check_arguments
from relaxeq.recipe.priors import PriorGroup, balance, prior_groups, terms_of, write_precisions
from relaxeq.recipe.progress import Progress
from relaxeq.recipe.result import FitResult, History, learned_priors
from relaxeq.recipe.seeds import Randomness, epoch_seed


@torch.enable_grad()
def fit(
    net: nn.Module,
    train_loader: Iterable[Batch] | Loaders,
    test_loader: Iterable[Batch] | None = None,
    epochs: int = 100,
    objective: str = "laplace",
    options: Options | None = None,
    run_dir: str | os.PathLike[str] | None = None,
) -> FitResult:
    """Train `net` in place; learn its prior precisions unless objective="map".

    Weights minimise −log p(D|θ) + Σ ½α‖θ‖² (cosine-annealed Adam). With objective="laplace", after
    `burn_in` epochs and every `update_every` epochs, KFAC curvature is taken on the training data
    and the precisions α = 1/σ² of paths, biases and plain parameters move uphill in the evidence
    (Eq. 9), and before them the noise of a LearnedGaussian; "map" keeps all. The learned σ² are
    written to the paths. With `run_dir`, every epoch leaves a checkpoint and a JSON line, and a run
    that was stopped continues from there to the same numbers; other runs are kept out meanwhile.
    The training loader must give the same N data every epoch; a loader with `set_epoch` is told the
    epoch.
    `Loaders(updates, evidence)` augments the data of the updates alone (App. F.6).

    Raises DataError, NumericsError, SiteError or CheckpointError; what was saved stays.
    """
    options = Options() if options is None else options
    check_arguments(net, epochs, objective, options)
    loaders = as_loaders(train_loader)
    with Randomness((loaders.updates, loaders.evidence), options.seed) as randomness:
        run = _Run(net, loaders, test_loader, epochs, objective, options, randomness)
        warn_of_normalisation(net.eval())
        with nullcontext() if run_dir is None else run.locked(run_dir) as folder:
            run.train(folder)
        return run.result()


@final
class _Run:
    """One training run: state that checkpoints carry, and the steps of an epoch."""

    def __init__(
        self,
        net: nn.Module,
        loaders: Loaders,
        test_loader: Iterable[Batch] | None,
        epochs: int,
        objective: str,
        options: Options,
        randomness: Randomness,
    ) -> None:
        self.net, self.loaders, self.test_loader = net, loaders, test_loader
        self.epochs, self.objective, self.options = epochs, objective, options
        self.randomness = randomness
        self.likelihood = likelihood_from(options.likelihood)
        self.groups: tuple[PriorGroup, ...] = prior_groups(net)
        randomness.start(0)
        self.data = Fingerprint()
        self.count = self._inspect()
        self.tested = Fingerprint()
        if test_loader is not None:
            inspect(net, test_loader, self.likelihood, "test_loader", self.tested)
        self.initial = {group.name: group.precision for group in self.groups}
        self.precisions = dict(self.initial)
        self.moments: Moments = {}
        self.history: History = []
        self.metrics: dict[str, float] = {}
        self.optimizer = ProximalAdam(net, self.groups, self.count, options.lr)

    def _inspect(self) -> int:
        updates, evidence = self.loaders.updates, self.loaders.evidence
        one = evidence is updates
        seen = self.data if one else None
        count = inspect(self.net, updates, self.likelihood, "train_loader", seen)
        if not one:
            named = "Loaders.evidence"
            check_counts(count, inspect(self.net, evidence, self.likelihood, named, self.data))
        warn_of_left_out(updates, count)
        return count

    def locked(self, run_dir: str | os.PathLike[str]) -> AbstractContextManager[RunFolder]:
        """The run folder, for this run alone."""
        self._settings()  # refuses what could not be resumed, before an epoch is spent
        return RunFolder(run_dir).locked()

    def train(self, folder: RunFolder | None) -> None:
        if folder is not None:
            self._resume(folder)
        with Progress(self.epochs, len(self.history), self.options.progress) as progress:
            for epoch in range(len(self.history), self.epochs):
                row = self._epoch(epoch)
                self.history.append(row)
                progress.advance(row)
                if folder is not None:
                    folder.save(self._checkpoint(), self.history)
        write_precisions(self.net, self.precisions)

    def _epoch(self, epoch: int) -> dict[str, Any]:
        start = time.perf_counter()
        self.randomness.start(epoch)
        row: dict[str, Any] = {"epoch": epoch + 1, "train_nll": self._pass(epoch)}
        last = epoch + 1 == self.epochs
        if self._updates(epoch):
            row |= self._update(epoch)
        if self.test_loader is not None and (
            last or (epoch + 1) % self.options.evaluate_every == 0
        ):
            self.metrics = evaluate(self.net, self.test_loader, self.likelihood)
            row |= self.metrics
        return row | {
            "lr": self._rate(epoch) * self.options.lr,
            "seconds": time.perf_counter() - start,
        }

    def _pass(self, epoch: int) -> float:
        """One pass over the training data; the mean NLL on the way, in nats."""
        self.net.train()
        seen, total = 0, 0.0
        for batch in self.loaders.updates:
            inputs, targets = checked_batch(batch, self.net)
            outputs = wide(self.net(inputs))
            self.likelihood.check(outputs, targets)
            loss = -self.likelihood.log_likelihood(outputs, targets) / len(inputs)
            check_loss(self.net, loss, inputs)
            check_connected(loss)
            loss.backward()
            rate = self._rate(epoch + seen / self.count)
            self.optimizer.step(rate * self.options.lr, self.precisions)
            seen, total = seen + len(inputs), total + float(loss.detach()) * len(inputs)
        check_complete(seen, self.count, epoch + 1)
        check_weights(self.net, epoch + 1)
        self.optimizer.check_reached(self.precisions)
        return total / seen

    def _updates(self, epoch: int) -> bool:
        past = epoch + 1 - self.options.burn_in
        return self.objective == "laplace" and past > 0 and past % self.options.update_every == 0

    def _update(self, epoch: int) -> dict[str, Any]:
        balance(self.net)
        found = self._estimate(self.options.fisher, epoch, self.options.curvature)
        terms = terms_of(self.net, self.groups, found.blocks)
        evidence = self._evidence(found, terms)
        self.likelihood, terms = relearned(self.likelihood, found, terms, self.precisions)
        self.precisions, self.moments = self.options.update.step(
            terms, self.precisions, self.moments, self._rate(epoch)
        )
        row = {"evidence": evidence, "precisions": encode(self.precisions)}
        return row | learned_noise(self.likelihood)

    def _estimate(self, fisher: Fisher, epoch: int, flavour: str | Flavour) -> Estimate[Spectrum]:
        device = next(self.net.parameters()).device
        draws = torch.Generator(device).manual_seed(epoch_seed(self.options.seed, epoch))
        self.net.eval()
        settings = Pass(self.likelihood, fisher, draws)
        found = estimate(self.net, self.loaders.evidence, settings, flavour)
        check_complete(found.count, self.count, epoch + 1)
        return found

    def _evidence(self, found: Estimate[Spectrum], terms: dict[str, Term]) -> float:
        total = log_marginal_likelihood(found.log_likelihood, terms, self.precisions)
        return total / self.count

    def _rate(self, epoch: int | float) -> float:
        return 0.5 * (1 + math.cos(math.pi * min(epoch / self.epochs, 1.0)))

    def _checkpoint(self) -> Checkpoint:
        state = (
            self._settings()
            | {
                "epoch": len(self.history),
                "initial": encode(self.initial),
                "precisions": encode(self.precisions),
                "moments": self.moments,
                "data": self.data.moments(),
                "test data": self.tested.moments(),
            }
            | learned_noise(self.likelihood)
        )
        return Checkpoint(self.net.state_dict(), self.optimizer.state(), state)

    def _settings(self) -> dict[str, Any]:
        return self._facts() | {
            "network": network_signature(self.net, self.groups),
            "options": self.options.record(),
        }

    def _facts(self) -> dict[str, Any]:
        return {"objective": self.objective, "epochs": self.epochs, "count": self.count}

    def _resume(self, folder: RunFolder) -> None:
        if (loaded := folder.load()) is None:
            return
        checkpoint, self.history = loaded
        check_same_run(checkpoint.state, self._settings(), folder.path)
        self.initial = check_same_priors(checkpoint.state, self.initial, folder.path)
        for what, seen in (("data", self.data), ("test data", self.tested)):
            warn_of_other_data(checkpoint.state.get(what), seen.moments(), what, folder.path)
        held = checkpoint.state.get("test data", [])
        if self.test_loader is None or agree(held, self.tested.moments()):
            self.metrics = {k: v for k, v in self.history[-1].items() if k.startswith("test_")}
        self.net.load_state_dict(checkpoint.network)
        self.optimizer.load(checkpoint.optimizer)
        self.precisions = decode(checkpoint.state["precisions"])
        self.likelihood = with_noise(self.likelihood, checkpoint.state)
        self.moments = {k: (m[0], m[1], m[2]) for k, m in checkpoint.state["moments"].items()}

    def result(self) -> FitResult:
        self.randomness.start(self.epochs)  # the order of a finished run that is called again, too
        balance(self.net)
        flavour = self.options.final_curvature or self.options.curvature
        found = self._estimate(self.options.final_fisher, self.epochs, flavour)
        terms = terms_of(self.net, self.groups, found.blocks)
        slope = slope_of(
            self.net, self.loaders.evidence, self.likelihood, self.groups, self.precisions
        )
        if self.test_loader is not None and not self.metrics:  # a finished run, on other test data
            self.metrics = evaluate(self.net, self.test_loader, self.likelihood)
        return FitResult(
            net=self.net,
            objective=self.objective,
            evidence=self._evidence(found, terms),
            log_likelihood=found.log_likelihood / self.count,
            count=self.count,
            history=self.history,
            priors=learned_priors(self.groups, terms, self.precisions),
            metrics=self.metrics,
            likelihood=self.likelihood,
            slope=slope,
            settings=self._facts() | {"options": self.options.plain()},
        )
