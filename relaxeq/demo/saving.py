"""The files that a demo leaves: Tables 1 and 4, and the picture."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from relaxeq.demo.claims import claims
from relaxeq.demo.picture import results_figure
from relaxeq.demo.table import markdown, terminal
from relaxeq.report import Report, plain, save_figure, write_text
from relaxeq.study import MEASURES, Cell, to_json
from relaxeq.tables import Key, Preset, Results


def save(preset: Preset, results: Results, whole: Mapping[Cell, Report], out: Path) -> None:
    """Write table1.{txt,md,json}, table4.{txt,md,json} and demo.png into `out`.

    Table 4 shows the whole reports, with the biases that results leave out.
    """
    write_text(plain(terminal(results)) + "\n", out / "table1.txt")
    write_text(markdown(results), out / "table1.md")
    write_text(to_json(table1_record(preset, results)), out / "table1.json")
    save_figure(results_figure(results), out / "demo.png")
    learned = set(results.learned())
    reports = {cell.name: report for cell, report in whole.items() if cell.key in learned}
    texts = [f"{name}\n{report}\n" for name, report in reports.items()]
    pages = [f"## {name}\n\n{report.to_markdown()}" for name, report in reports.items()]
    values = {name: json.loads(report.to_json()) for name, report in reports.items()}
    write_text("\n".join(texts), out / "table4.txt")
    write_text("\n".join(pages), out / "table4.md")
    write_text(to_json(values), out / "table4.json")


def table1_record(preset: Preset, results: Results) -> dict[str, Any]:
    """Settings, cells of Table 1 and claims as JSON values."""
    found = [{"claim": claim.text, "holds": claim.holds} for claim in claims(results)]
    return {
        "settings": preset.record(),
        "seeds": list(results.seeds),
        "table1": [_cell(results, key) for key in results.keys],
        "claims": found,
    }


def _cell(results: Results, key: Key) -> dict[str, Any]:
    cell = results.cell(key)
    found = {name: results.figure(name, key) for name in MEASURES}
    return {
        "task": key[1],
        "spec": key[0],
        "objective": key[2],
        "parameters": cell[0].parameters,
        "seeds": [entry.seed for entry in cell],
        "seconds": [entry.seconds for entry in cell],
        **{name: {"mean": f.mean, "std": f.std} for name, f in found.items() if f is not None},
    }
