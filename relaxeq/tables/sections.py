"""Parts of a table's page: accuracies beside the paper's, and what layers learned."""

from collections.abc import Iterator

from relaxeq.report import markdown_table
from relaxeq.study import ACCURACY, EVIDENCE, NLL, SHOWN
from relaxeq.tables.results import Key, Results
from relaxeq.tables.table import Table

SHORT = {NLL: "NLL", ACCURACY: "acc. (%)", EVIDENCE: "log ev."}
DIGITS = {NLL: 3, ACCURACY: 1, EVIDENCE: 3}


def scores(table: Table, results: Results) -> str:
    """A line per row and column: parameters, and each measure with the paper's in brackets."""
    wanted = [
        (objective, measure)
        for objective in results.objectives
        for measure in (NLL, ACCURACY, EVIDENCE)
        if (objective, measure) != ("map", EVIDENCE)
    ]
    wanted = [pair for pair in wanted if _shown(results, *pair)]
    head = ["data", "layers", "parameters", *(f"{SHOWN[o]} {SHORT[m]}" for o, m in wanted)]
    lines = []
    for column in results.columns:
        for row in results.rows:
            size = results.parameters(row, column)
            if size is not None:
                cells = [_score(table, results, (row, column, o), m) for o, m in wanted]
                lines.append((column, row, f"{size:,}", *cells))
    printed = "In brackets the paper's figures, at its own size and data. " if table.printed else ""
    note = f"{printed}NLL and log evidence in nats per datum."
    return f"{markdown_table(head, lines)}\n\n{note}"


def _shown(results: Results, objective: str, measure: str) -> bool:
    """Whether a measure is there: regressions have no accuracy."""
    return measure != ACCURACY or any(
        e.report.test_accuracy is not None for e in results.entries if e.objective == objective
    )


def _score(table: Table, results: Results, key: Key, measure: str) -> str:
    figure = results.figure(measure, key)
    if figure is None:
        return ""
    ours = figure.text(DIGITS[measure], len(results.cell(key)) > 1)
    theirs = table.printed.get(key, {}).get(measure)
    return ours if theirs is None else f"{ours} ({theirs:g})"


def ranges(table: Table, results: Results) -> str:
    """Shares of every path in networks that could choose: mean over layers (least to most)."""
    lines = []
    for key in results.learned():
        texts = [_range(results, key, path) for path in results.paths(key)]
        lines.append((key[1], key[0], ", ".join(texts)))
    if not lines:
        return ""
    head = ("data", "layers", "share of each path in %, mean over layers (range)")
    return markdown_table(head, lines)


def _range(results: Results, key: Key, path: str) -> str:
    shares = [100 * figure.mean for figure in results.shares(key, path)]
    mean = sum(shares) / len(shares)
    return f"{path} {mean:.0f} ({min(shares):.0f}–{max(shares):.0f})"


def layers(table: Table, results: Results) -> str:
    """Per layer the shares of its paths, and their precisions at the first seed."""
    return "\n\n".join(_layer_tables(results))


def _layer_tables(results: Results) -> Iterator[str]:
    for key in results.learned():
        paths = results.paths(key)
        shares = {path: results.shares(key, path) for path in paths}
        several = len(results.cell(key)) > 1
        lines = []
        for number, rows in enumerate(results.layers(key)):
            texts = [shares[path][number].percent.text(1, several) for path in paths]
            precisions = {row.path: f"{row.precision:.2g}" for row in rows}
            lines.append((f"{number}", *texts, *(precisions[path] for path in paths)))
        title = f"{key[1]}, {key[0]}: layer"
        yield markdown_table(
            [title, *(f"{path} (%)" for path in paths), *(f"α {path}" for path in paths)], lines
        )
