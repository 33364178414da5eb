"""relaxeq table: the tables of the paper."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from relaxeq.cli.console import wide_console
from relaxeq.cli.stopping import continuing
from relaxeq.errors import SpecError
from relaxeq.study import to_json
from relaxeq.tables import TABLES, Preset, Table, record_finished, run_table, terminal

DATA = "Data sets, joined by commas: digits, mnist, fashion-mnist, cifar10."


def table(  # noqa: PLR0913  (an option each)
    name: Annotated[str, typer.Argument(help=f"Which: {', '.join(TABLES)}.")],
    preset: Annotated[
        str, typer.Option(help="Size: smoke (a minute), cpu (minutes to hours) or paper.")
    ] = "cpu",
    data: Annotated[str | None, typer.Option(help=f"{DATA} [default: the preset's]")] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder of their files. [default: they are downloaded]")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Seeds, joined by commas, as in 0,1,2. [default: the preset's]"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Length of every training. [default: the preset's]")
    ] = None,
    train: Annotated[
        int | None, typer.Option(min=1, help="Images to train on. [default: the preset's]")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at a time, one thread each.")] = 2,
    device: Annotated[str, typer.Option(help="Where networks compute: cpu or cuda.")] = "cpu",
    out: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    results: Annotated[Path, typer.Option(help="Folder of the records.")] = Path(
        "experiments/results"
    ),
    finished: Annotated[
        bool, typer.Option("--finished", help="Train nothing, record what is finished.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Run a table of the paper, and write its figures beside the paper's.

    1 is the toy problem, 2 compares layers, 3 chooses among groups, 4 looks at what layers learned,
    7 compares filters of roto-translations; groups is a study of data with a known symmetry. Each
    network is trained in a folder below --out; a stopped table continues when it is called again.
    Results merge into a .json and a .md below --results: other seeds into the same table, other
    data or lengths into a table beside it.

    \b
    Examples:
      relaxeq table 1 --preset smoke
      relaxeq table 1 --preset cpu --data mnist --root ../data --seeds 0,1,2
      relaxeq table 4 --preset cpu --epochs 200 --train 4000
      relaxeq table 3 --preset paper --jobs 1 --json
    """
    if name not in TABLES:
        raise SpecError(f"{name!r} is no table: choose one of {', '.join(TABLES)}.")
    chosen = TABLES[name]
    settings = _settings(chosen, preset, data, root, seeds).resized(epochs, train)
    settings = replace(settings, device=device)
    sizes = {"epochs": epochs, "train": train}
    changed = [f"{name}{value}" for name, value in sizes.items() if value is not None]
    folder = out / chosen.stem / "_".join((preset, *settings.data, *changed))
    with continuing():
        if finished:
            block = record_finished(chosen, preset, settings, folder, results)
        else:
            block = run_table(chosen, preset, settings, folder, results, jobs)
    if as_json:
        typer.echo(to_json(block.record()), nl=False)
    else:
        wide_console().print(terminal(chosen, block))


def _settings(
    chosen: Table, preset: str, data: str | None, root: Path | None, seeds: str | None
) -> Preset:
    found = replace(chosen.preset(preset), root=None if root is None else str(root))
    if seeds is not None:
        found = replace(found, seeds=_seeds(seeds))
    return found if data is None else replace(found, data=tuple(data.split(",")))


def _seeds(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise SpecError(f"--seeds {text} must be whole numbers joined by commas, as in 0,1,2.")
    return tuple(int(part) for part in parts)
