"""The files that a demo leaves: Tables 1 and 4, and the picture."""

import json
from pathlib import Path
from typing import Any

from relaxeq.demo.claims import claims
from relaxeq.demo.picture import results_figure
from relaxeq.demo.results import Results
from relaxeq.demo.table import markdown, terminal
from relaxeq.report import plain, save_figure, write_text
from relaxeq.study import to_json


def save_results(results: Results, out: Path) -> None:
    """Write table1.{txt,md,json}, table4.{txt,md,json} and demo.png into `out`."""
    write_text(plain(terminal(results)) + "\n", out / "table1.txt")
    write_text(markdown(results), out / "table1.md")
    write_text(to_json(table1_record(results)), out / "table1.json")
    learned = [outcome for task in results.config.tasks for outcome in results.learned(task)]
    texts = [f"{outcome.run.name}\n{outcome.report}\n" for outcome in learned]
    pages = [f"## {outcome.run.name}\n\n{outcome.report.to_markdown()}" for outcome in learned]
    reports = {outcome.run.name: json.loads(outcome.report.to_json()) for outcome in learned}
    write_text("\n".join(texts), out / "table4.txt")
    write_text("\n".join(pages), out / "table4.md")
    write_text(to_json(reports), out / "table4.json")
    save_figure(results_figure(results), out / "demo.png")


def table1_record(results: Results) -> dict[str, Any]:
    """Settings, cells of Table 1 and claims as JSON values."""
    found = [{"claim": claim.text, "holds": claim.holds} for claim in claims(results)]
    return {
        "settings": results.config.record(),
        "seeds": list(results.config.seeds),
        "table1": results.record(),
        "claims": found,
    }
