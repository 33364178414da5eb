"""relaxeq fit: train a network, and say what symmetry it learned."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from relaxeq.cli.console import wide_console
from relaxeq.cli.stopping import continuing
from relaxeq.data import SOURCES, Fitted, ImageTask, Task, TensorFile, load_images
from relaxeq.data.tensor_file import SUFFIXES
from relaxeq.errors import SpecError
from relaxeq.evidence import Adam, MacKay
from relaxeq.report import read_report
from relaxeq.study import REPORT, Cell, FromFile, Network, Paper, Training, train_cell

ALPHA, SIZES = 10, (8, 16, 32)
UPDATES = {"adam": Adam(lr=0.1, steps=20), "mackay": MacKay()}


def fit(  # noqa: PLR0913  (an option each)
    network: Annotated[
        str, typer.Argument(help="Layers of PaperNet, as in F-FC+CONV, or module.py:Net.")
    ],
    data: Annotated[
        str, typer.Option(help="digits, mnist, fashion-mnist, cifar10, or a .npz or .pt file.")
    ] = "digits",
    root: Annotated[
        Path | None, typer.Option(help="Folder of a data set. [default: it is downloaded]")
    ] = None,
    train: Annotated[int | None, typer.Option(min=1, help="Images to train on. [all]")] = None,
    test: Annotated[int | None, typer.Option(min=1, help="Images to test on. [all]")] = None,
    objective: Annotated[str, typer.Option(help="laplace or map.")] = "laplace",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs.")] = 100,
    lr: Annotated[float, typer.Option(help="Learning rate of the weights.")] = 0.01,
    batch: Annotated[int, typer.Option(min=1, help="Data in a batch.")] = 128,
    burn_in: Annotated[int, typer.Option(min=0, help="Epochs before priors are learned.")] = 10,
    update_every: Annotated[int, typer.Option(min=1, help="Epochs between their updates.")] = 5,
    update: Annotated[str, typer.Option(help="How they move: adam or mackay.")] = "adam",
    augment: Annotated[bool, typer.Option(help="Flip and shift images in updates.")] = False,
    alpha: Annotated[int | None, typer.Option(min=1, help="Width of PaperNet. [10]")] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of its images: 8, 16, 32. [the least that fits]")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Its group: Z2, p2, p4, pm, pmm, p4m. [Z2]")
    ] = None,
    filters: Annotated[
        str | None,
        typer.Option(help="Of GCONV: full, separable, depthwise-separable, pointwise. [pointwise]"),
    ] = None,
    prior: Annotated[
        str | None, typer.Option(help="Of sparse paths: anchors, lengthscales. [anchors]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of data, weights and batches.")] = 0,
    device: Annotated[str, typer.Option(help="Where it computes: cpu or cuda.")] = "cpu",
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/fit"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Train a network by MAP or the Laplace marginal likelihood, and print what it learned.

    NETWORK is a spec of PaperNet, whose images are fitted to --size, or a network of your own: a
    module, or a class or function that makes one without arguments. Named data sets are scaled to
    mean 0 and variance 1; a file holds x, y and perhaps x_test, y_test, which are taken as they
    are, whole numbers y for classes and (n, outputs) floating ones for regression. A stopped run
    continues when it is called again; `relaxeq report` prints its table again.

    \b
    Examples:
      relaxeq fit F-FC+CONV --epochs 40 --alpha 2
      relaxeq fit F-FC+CONV+GCONV --group p4 --data mnist --alpha 2 --out runs/p4
      relaxeq fit model.py:Net --data mine.npz --objective map --out runs/mine --json
    """
    if update not in UPDATES:
        raise SpecError(f"--update {update} must be one of {', '.join(UPDATES)}.")
    task = _task(data, root, train, test, size)
    likelihood = task.likelihood if isinstance(task, TensorFile) else "classification"
    times = (burn_in, update_every)
    training = Training(epochs, lr, batch, *times, UPDATES[update], augment, likelihood)
    built = _network(network, alpha=alpha, group=group, filters=filters, prior=prior)
    cell = Cell(network, data, built, task, training, objective, seed)
    with continuing():
        train_cell(cell, out, progress=True, device=device)
    report = read_report(out / REPORT)
    if as_json:
        typer.echo(report.to_json(), nl=False)
    else:
        wide_console().print(report)


def _network(text: str, **options: Any) -> Network:
    if ":" in text or text.endswith(".py"):
        _refuse(f"{text} makes its own layers", "name those of PaperNet, as in F-FC+CONV", options)
        return FromFile(text)
    given = {name: value for name, value in options.items() if value is not None}
    return Paper(text, **({"alpha": ALPHA} | given))


def _task(
    data: str, root: Path | None, train: int | None, test: int | None, size: int | None
) -> Task:
    if data.endswith(SUFFIXES):
        options = {"root": root, "train": train, "test": test, "size": size}
        _refuse(f"{data} is taken as it is", "write another file", options)
        return TensorFile(data)
    if data not in SOURCES:
        raise SpecError(
            f"--data {data} must be one of {', '.join(SOURCES)}, or a file that ends with "
            f"{' or '.join(SUFFIXES)}."
        )
    place = None if root is None else str(root)
    side = _side(load_images(data, place)[0][0]) if size is None else size
    return ImageTask(data, (Fitted((side, side)),), train, test, place)


def _refuse(why: str, instead: str, options: Mapping[str, object]) -> None:
    given = [f"--{name} {value}" for name, value in options.items() if value is not None]
    if given:
        raise SpecError(f"{', '.join(given)}: {why}, leave that out, or {instead}.")


def _side(images: torch.Tensor) -> int:
    """The smallest side of PaperNet that holds the images whole."""
    return next((side for side in SIZES if side >= max(images.shape[2:])), SIZES[-1])
