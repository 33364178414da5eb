"""A run that is stopped anywhere and called again ends with the same numbers, bit for bit."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from relaxeq.data import TensorLoader
from relaxeq.evidence import Adam
from relaxeq.recipe import FitResult, Options, fit

pytestmark = pytest.mark.usefixtures("unchecked")  # many short runs: their types are seen elsewhere

EPOCHS, BATCH, BATCHES = 4, 4, 3
Pair = tuple[Tensor, Tensor]
Network = Callable[[], nn.Sequential]
MakeOptions = Callable[..., Options]


class Killed(BaseException):
    """Not an Exception: nothing may catch it, as nothing catches a kill."""


class Mortal:
    """A loader that raises at its batch number `death`, counted over all passes."""

    def __init__(self, loader: Any, death: int) -> None:
        self.loader, self.death, self.batches, self.passes = loader, death, 0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __iter__(self) -> Iterator[Pair]:
        self.passes += 1
        for batch in self.loader:
            if self.batches == self.death:
                raise Killed
            self.batches += 1
            yield batch


def own_sampler(data: Pair) -> DataLoader[Any]:
    sampler = RandomSampler(TensorDataset(*data), generator=torch.Generator().manual_seed(9))
    return DataLoader(TensorDataset(*data), BATCH, sampler=sampler)


LOADERS: dict[str, Callable[[Pair], Any]] = {
    "TensorLoader": lambda data: TensorLoader(data, BATCH, seed=3),
    "shuffling DataLoader": lambda data: DataLoader(TensorDataset(*data), BATCH, shuffle=True),
    "DataLoader with a generator": lambda data: DataLoader(
        TensorDataset(*data), BATCH, shuffle=True, generator=torch.Generator().manual_seed(9)
    ),
    "sampler with a generator": own_sampler,
}


def numbers(result: FitResult) -> dict[str, Any]:
    """All that a run ends with, except the time it took."""
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in result.history]
    state = {k: v.tolist() for k, v in result.net.state_dict().items()}
    return {
        "state": state,
        "history": rows,
        "priors": result.priors,
        "evidence": result.evidence,
        "log_likelihood": result.log_likelihood,
        "metrics": result.metrics,
    }


@pytest.fixture(params=LOADERS)
def loader(request: pytest.FixtureRequest, few: Pair) -> Callable[[], Any]:
    return lambda: LOADERS[request.param](few)


@pytest.fixture
def few(images: Pair) -> Pair:
    x, y = images
    return x[: BATCH * BATCHES - 1], y[: BATCH * BATCHES - 1]


@pytest.fixture
def run(few: Pair, mixed: Network, options: MakeOptions) -> Callable[..., FitResult]:
    """One run of a fresh network on the given loader; without `run_dir` it leaves nothing."""

    def start(loader: object, run_dir: Path | None = None, **changes: object) -> FitResult:
        short = {"burn_in": 1, "update_every": 1, "final_fisher": "mc", "update": Adam()}
        settings = options(**(short | changes))
        return fit(mixed(), loader, [few], EPOCHS, options=settings, run_dir=run_dir)  # type: ignore[arg-type]

    return start


def test_killed_in_any_pass_it_ends_with_the_same_numbers(
    loader: Callable[[], Any], run: Callable[..., FitResult], tmp_path: Path
) -> None:
    whole = Mortal(loader(), death=-1)
    truth = numbers(run(whole))
    looks, updates, last = 1, EPOCHS - 1, 2  # curvature and slope
    assert whole.passes == looks + EPOCHS + updates + last
    for death in range(1, whole.batches, BATCHES + 1):
        with pytest.raises(Killed):
            run(Mortal(loader(), death), tmp_path / str(death))
        assert numbers(run(loader(), tmp_path / str(death))) == truth


def test_killed_again_and_again_it_ends_with_the_same_numbers(
    loader: Callable[[], Any], run: Callable[..., FitResult], tmp_path: Path
) -> None:
    truth = numbers(run(loader()))
    for _ in range(EPOCHS):  # each time it gets as far as one epoch
        with pytest.raises(Killed):
            run(Mortal(loader(), death=3 * BATCHES + 1), tmp_path)
        torch.manual_seed(123)  # what others draw in between does not matter
    assert len((tmp_path / "history.jsonl").read_text("utf-8").splitlines()) == EPOCHS
    assert numbers(run(loader(), tmp_path)) == truth


def test_killed_between_any_two_writes_it_ends_with_the_same_numbers(
    run: Callable[..., FitResult], few: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loader() -> TensorLoader:
        return TensorLoader(few, BATCH, seed=3)

    truth = numbers(run(loader()))
    replace, left = os.replace, [0]

    def mortal(source: Path, target: Path) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        replace(source, target)

    for death in range(2 * EPOCHS):
        left[0] = death
        monkeypatch.setattr(os, "replace", mortal)
        with pytest.raises(Killed):
            run(loader(), tmp_path / str(death))
        monkeypatch.setattr(os, "replace", replace)
        assert numbers(run(loader(), tmp_path / str(death))) == truth


CHILD = """
import os, signal, sys, torch
from torch import nn
from relaxeq.data import TensorLoader
from relaxeq.recipe import Options, fit

torch.set_num_threads(1)
state, data, folder = sys.argv[1:]
x, y = torch.load(data, weights_only=True)

class Loader(TensorLoader):
    batches = 0
    def __iter__(self):
        for batch in super().__iter__():
            Loader.batches += 1
            if Loader.batches == 27:
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch

net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Dropout(0.3), nn.Linear(4, 2))
net.load_state_dict(torch.load(state, weights_only=True))
options = Options(burn_in=1, update_every=1, progress=False)
fit(net, Loader((x, y), 8, seed=3), epochs=6, options=options, run_dir=folder)
"""


def test_killed_by_the_system_it_ends_with_the_same_numbers(points: Pair, tmp_path: Path) -> None:
    def network() -> nn.Sequential:
        torch.manual_seed(4)
        return nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Dropout(0.3), nn.Linear(4, 2))

    def run(folder: Path | None) -> FitResult:
        loader = TensorLoader(points, 8, seed=3)
        options = Options(burn_in=1, update_every=1, progress=False)
        return fit(network(), loader, epochs=6, options=options, run_dir=folder)

    torch.save(network().state_dict(), tmp_path / "state.pt")
    torch.save(points, tmp_path / "data.pt")
    folder = tmp_path / "run"
    arguments = [str(tmp_path / "state.pt"), str(tmp_path / "data.pt"), str(folder)]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    rows = (folder / "history.jsonl").read_text("utf-8").splitlines()
    assert 0 < len(rows) < 6
    assert numbers(run(folder)) == numbers(run(None))


def test_a_finished_run_called_again_gives_the_same_result_without_training(
    loader: Callable[[], Any], run: Callable[..., FitResult], tmp_path: Path
) -> None:
    first = run(loader(), tmp_path)
    again = Mortal(loader(), death=-1)
    second = run(again, tmp_path)
    assert again.passes == 3  # a look at the data, the last curvature, and the slope
    assert numbers(second) == numbers(first)
    assert second.history == first.history  # the times too: they were read, not taken


def test_a_finished_run_takes_its_own_network_again(
    few: Pair, mixed: Network, options: MakeOptions, tmp_path: Path
) -> None:
    def again(net: nn.Module) -> FitResult:
        return fit(net, [few], epochs=4, options=options(), run_dir=tmp_path)

    first = again(mixed())
    kept = numbers(first)
    assert numbers(again(first.net)) == kept


def test_the_bar_of_progress_is_no_setting_of_a_run(
    few: Pair, mixed: Network, options: MakeOptions, tmp_path: Path
) -> None:
    for progress in (True, False):
        settings = options(progress=progress)
        fit(mixed(), [few], epochs=2, options=settings, run_dir=tmp_path)


@pytest.mark.filterwarnings("ignore::relaxeq.errors.EvidenceWarning")
def test_buffers_resume_too(points: Pair, options: MakeOptions, tmp_path: Path) -> None:
    def network() -> nn.Sequential:
        torch.manual_seed(4)
        norm = nn.BatchNorm1d(4, affine=False)
        return nn.Sequential(nn.Linear(2, 4), norm, nn.ReLU(), nn.Linear(4, 2))

    def run(death: int, folder: Path | None) -> FitResult:
        loader = Mortal(TensorLoader(points, 8, seed=3), death)
        return fit(network(), loader, epochs=4, options=options(), run_dir=folder)

    with pytest.raises(Killed):
        run(18, tmp_path)
    assert numbers(run(-1, tmp_path)) == numbers(run(-1, None))
