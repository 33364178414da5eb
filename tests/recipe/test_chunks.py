"""Chunks: the same data in smaller parts, and the same sums."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

import relaxeq as rq
from relaxeq.curvature import FLAVOURS, Bound, Pass, Subset, estimate
from relaxeq.data import AugmentedLoader, Flips, TensorLoader
from relaxeq.errors import DataError
from relaxeq.recipe import Options, held_out, posterior

Pair = tuple[Tensor, Tensor]


def columns(count: int = 11) -> Pair:
    """Data that tell where they stand."""
    return torch.arange(3.0 * count).view(count, 3), torch.arange(count)


@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(1, 9), st.sampled_from([1, 2])
)
def test_parts_are_the_batches_in_order_and_len_counts_them(
    lengths: list[int], size: int, more: int
) -> None:
    x, y = columns(sum(lengths))
    batches = list(zip(x.split(lengths), *[y.split(lengths)] * more, strict=True))
    chunks = rq.Chunks(batches, size)
    for _ in range(2):
        parts = list(chunks)
        assert len(chunks) == len(parts)
        assert all(1 <= len(tensor) <= size for part in parts for tensor in part)
        starts = [list(range(0, n, size)) for n in lengths]
        assert [len(part[0]) for part in parts] == [
            min(size, n - s) for n, own in zip(lengths, starts, strict=True) for s in own
        ]
        for column, whole in zip(zip(*parts, strict=True), (x, *[y] * more), strict=True):
            assert torch.equal(torch.cat(column), whole)


LOADERS: dict[str, Callable[[], object]] = {
    "TensorLoader": lambda: TensorLoader(columns(), 4, seed=0),
    "one batch": lambda: TensorLoader(columns(), 100),
    "AugmentedLoader": lambda: AugmentedLoader(
        (torch.zeros(11, 1, 2, 2), columns()[1]), 4, [Flips()]
    ),
    "DataLoader": lambda: DataLoader(TensorDataset(*columns()), batch_size=4),
    "whole batches": lambda: DataLoader(TensorDataset(*columns()), batch_size=4, drop_last=True),
    "drawn": lambda: DataLoader(
        TensorDataset(*columns()), 4, sampler=RandomSampler(columns()[0], num_samples=7)
    ),
    "tuple": lambda: (columns(5), columns(4)),
}


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 11])
def test_len_of_every_loader(name: str, size: int) -> None:
    chunks = rq.Chunks(LOADERS[name](), size)  # type: ignore[arg-type]
    assert len(chunks) == len([1 for _ in chunks])


@pytest.mark.parametrize("name", ["generator", "batch sampler"])
def test_a_loader_that_does_not_know_its_length_is_read_all_the_same(name: str) -> None:
    data = TensorDataset(*columns())
    known = (data[:4], data[4:8], data[8:])
    loader = (
        (batch for batch in known)
        if name == "generator"
        else DataLoader(data, batch_sampler=[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]])
    )
    chunks = rq.Chunks(loader, 3)
    with pytest.raises(TypeError, match=r"does not tell how many data its batches have"):
        len(chunks)
    assert [len(part[0]) for part in chunks] == [3, 1, 3, 1, 3]


@pytest.mark.parametrize("size", [0, -1, 2.0, True, None])
def test_sizes_that_are_none(size: object, unchecked: None) -> None:
    with pytest.raises(DataError, match=r"size=.* of Chunks must be .* at least 1: write Chunks"):
        rq.Chunks([columns()], size)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("loader", "message"),
    [(None, "loader=None is no loader"), (TensorDataset(*columns()), "is a TensorDataset, whose")],
)
def test_loaders_that_are_none(loader: object, message: str, unchecked: None) -> None:
    with pytest.raises(DataError, match=message):
        rq.kfac(nn.Linear(3, 2), rq.Chunks(loader, 2))  # type: ignore[arg-type]


def test_the_size_and_loader_are_shown() -> None:
    assert repr(rq.Chunks([], 3)) == "Chunks([], 3)"


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("size", [1, 7, 30])
def test_sums_of_every_flavour_are_the_same(
    flavour: str, size: int, mixed: Callable[[], nn.Module], images: Pair
) -> None:
    net, loader = mixed().eval(), TensorLoader((images[0].double(), images[1]), 20)
    plain = estimate(net, loader, Pass(), flavour)
    found = estimate(net, rq.Chunks(loader, size), Pass(), flavour)
    assert (found.count, found.entries) == (plain.count, plain.entries)
    assert found.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-12)
    for name, block in plain.blocks.items():
        torch.testing.assert_close(found.blocks[name].dense(), block.dense())


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("flavour", [Subset(30), Bound(5, 6)], ids=str)
def test_values_that_draw_data_take_chunks(
    flavour: Subset | Bound, mixed: Callable[[], nn.Module], images: Pair
) -> None:
    net, loader = mixed().eval(), TensorLoader((images[0].double(), images[1]), 30)
    plain, found = (
        estimate(net, given, Pass(generator=torch.Generator().manual_seed(1)), flavour)
        for given in (loader, rq.Chunks(loader, 7))
    )
    for name, block in plain.blocks.items():
        torch.testing.assert_close(found.blocks[name].logdet(1.0), block.logdet(1.0))


def test_monte_carlo_draws_one_label_per_datum(line: Callable[[], nn.Linear], points: Pair) -> None:
    """Wherever parts end, Σ g gᵀ has one drawn column per datum: over many, that of all columns."""
    net, copies = line(), 400
    exact = rq.kfac(net, [points])["bias"].dense() * copies
    many = TensorLoader((points[0].repeat(copies, 1), points[1].repeat(copies)), 3000)
    for loader in (many, rq.Chunks(many, 700)):
        draws = torch.Generator().manual_seed(3)
        found = rq.kfac(net, loader, fisher="mc", generator=draws)["bias"].dense()
        torch.testing.assert_close(found, exact, atol=0.0, rtol=0.05)


def test_a_fit_takes_its_evidence_in_chunks(
    mixed: Callable[[], nn.Module], images: Pair, options: Callable[..., Options]
) -> None:
    """The same training with exact columns, to rounding; predictions and calibration too."""
    loader = TensorLoader(images, 15, seed=2)
    given = (loader, rq.Loaders(loader, rq.Chunks(loader, 4)))
    runs = [rq.fit(mixed(), each, epochs=5, options=options(fisher="exact")) for each in given]
    assert runs[1].evidence == pytest.approx(runs[0].evidence, rel=1e-4)
    for one, two in zip(*(run.priors for run in runs), strict=True):
        assert two.precision == pytest.approx(one.precision, rel=1e-3)
    held = [held_out(posterior(runs[0], each), rq.Chunks(loader, 4), "map") for each in
            (loader, rq.Chunks(loader, 4))]  # fmt: skip
    assert held[0] == held[1]


def test_a_fit_on_chunks_takes_smaller_steps(
    line: Callable[[], nn.Linear], points: Pair, options: Callable[..., Options]
) -> None:
    """As the only loader they are the batches of the updates as well."""
    small = rq.fit(line(), TensorLoader(points, 5), epochs=4, options=options())
    chunks = rq.fit(line(), rq.Chunks(TensorLoader(points, 15), 5), epochs=4, options=options())
    assert chunks.evidence == small.evidence


def test_epochs_and_generators_reach_the_loader_below(
    line: Callable[[], nn.Linear], points: Pair, options: Callable[..., Options]
) -> None:
    loader = TensorLoader(points, 10, seed=0)
    chunks = rq.Chunks(rq.Chunks(loader, 5), 3)
    chunks.set_epoch(7)
    assert loader.epoch == 7
    rq.fit(line(), chunks, epochs=4, options=options())
    assert loader.epoch == 4


def test_a_sampler_is_told_the_epoch() -> None:
    class Told(RandomSampler):
        epoch = 0

        def set_epoch(self, epoch: int) -> None:
            self.epoch = epoch

    sampler = Told(columns()[0])
    rq.Chunks(DataLoader(TensorDataset(*columns()), 4, sampler=sampler), 2).set_epoch(3)
    assert sampler.epoch == 3
    rq.Chunks([columns()], 2).set_epoch(3)


def test_a_shuffled_data_loader_repeats_under_chunks(
    line: Callable[[], nn.Linear], points: Pair, options: Callable[..., Options]
) -> None:
    """A fit owns the loader's generator under chunks as it does without, and gives it back."""
    draws = torch.Generator().manual_seed(4)
    loader = DataLoader(TensorDataset(*points), 10, shuffle=True, generator=draws)
    before = copy.deepcopy(draws.get_state())
    plain, one, two = (
        rq.fit(line(), given, epochs=4, options=options()).evidence
        for given in (loader, rq.Chunks(loader, 10), rq.Chunks(loader, 10))
    )
    assert plain == one == two
    assert torch.equal(draws.get_state(), before)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((torch.zeros(0, 2), torch.zeros(0)), "empty batch"),
        ("ab", "must give pairs"),
        ((torch.zeros(4, 2), torch.zeros(3, dtype=torch.long)), "shape"),
        (([0.0, 1.0], torch.zeros(2)), "of type list, not a tensor"),
    ],
)
def test_batches_that_are_wrong_are_refused_as_without(
    batch: object, message: str, line: Callable[[], nn.Linear], unchecked: None
) -> None:
    for loader in ([batch], rq.Chunks([batch], 2)):  # type: ignore[list-item]
        with pytest.raises(Exception, match=message):
            rq.kfac(line(), loader)  # type: ignore[arg-type]
