"""Reports: what symmetry every layer kept (App. D), as rows, text, JSON and a picture."""

from relaxeq.report.files import check_writable, write_text
from relaxeq.report.log import RunLog, read_log
from relaxeq.report.page import write_page
from relaxeq.report.palette import FAINT, INK, colours
from relaxeq.report.picture import (
    add_legend,
    draw_precisions,
    draw_shares,
    layers_figure,
    save_figure,
)
from relaxeq.report.record import flat_settings, run_facts, save_record
from relaxeq.report.report import Report, read_report, report_from, summary
from relaxeq.report.rows import Row, by_layer
from relaxeq.report.sparse_picture import plot_sparse, sparse_figure
from relaxeq.report.text import WIDTH, bare_table, markdown_table, plain

__all__ = [
    "FAINT",
    "INK",
    "WIDTH",
    "Report",
    "Row",
    "RunLog",
    "add_legend",
    "bare_table",
    "by_layer",
    "check_writable",
    "colours",
    "draw_precisions",
    "draw_shares",
    "flat_settings",
    "layers_figure",
    "markdown_table",
    "plain",
    "plot_sparse",
    "read_log",
    "read_report",
    "report_from",
    "run_facts",
    "save_figure",
    "save_record",
    "sparse_figure",
    "summary",
    "write_page",
    "write_text",
]
