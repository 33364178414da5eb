"""The demo in one picture: per task an example, Table 1, and what the layers learned."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from relaxeq.data import toy_task
from relaxeq.report import FAINT, INK, add_legend, colours, draw_precisions, draw_shares
from relaxeq.study import ACCURACY, SHOWN
from relaxeq.tables import Results

QUADRANTS = ("upper left", "upper right", "lower left", "lower right")
SUM = "#555555"
HEIGHT = 0.8
"""Of a bar and its lighter neighbours, in rows."""


def results_figure(results: Results) -> Figure:
    """One row per task: example, accuracies, shares and precisions of the first seed's network."""
    tasks = results.columns
    figure = Figure(figsize=(13.5, 0.6 + 3.9 * len(tasks)), layout="constrained")
    grid = figure.subplots(len(tasks), 4, squeeze=False, width_ratios=(0.8, 1.35, 2.0, 1.25))
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # type: ignore[union-attr,call-arg]
    hues: dict[str, str] = {}
    for row, task in zip(grid, tasks, strict=True):
        draw_example(row[0], task, results.seeds[0])
        draw_accuracies(row[1], results, task)
        learned = [key for key in results.learned() if key[1] == task]
        if learned:
            rows = results.cell(learned[0])[0].report.rows
            hues = colours(found.path for found in rows)
            draw_shares(row[2], rows, hues)
            draw_precisions(row[3], rows, hues)
            row[3].tick_params(labelleft=False)
        else:
            row[2].set_axis_off()
            row[3].set_axis_off()
    add_legend(figure, hues)
    return figure


def draw_example(axes: Axes, task: str, seed: int) -> None:
    """The first training image, with its label in words."""
    x, y = toy_task(task, 1, 1, seed)[0].tensors
    axes.imshow(x[0, 0].numpy(), cmap="gray_r", interpolation="nearest")
    label = int(y[0])
    words = f"{label}" if task == "digit" else f"{label % 10}, {QUADRANTS[label // 10]}"
    axes.set_title(f"Task: {task}", loc="left", fontsize=10.5, color=INK, weight="bold")
    axes.set_xlabel(f"label: {words}", fontsize=9.5, color=INK)
    axes.set_xticks([7.5], [""])
    axes.set_yticks([7.5], [""])
    axes.grid(color=FAINT, lw=1)
    axes.tick_params(length=0)
    axes.spines[:].set_color(FAINT)


def draw_accuracies(axes: Axes, results: Results, task: str) -> None:
    """A pair of bars per spec: MAP light, Laplace full."""
    specs, objectives = results.rows, results.objectives
    thick = HEIGHT / len(objectives)
    for number, spec in enumerate(specs):
        for place, objective in enumerate(objectives):
            figure = results.figure(ACCURACY, (spec, task, objective))
            if figure is None:
                continue
            y = number + thick * (place + 0.5) - HEIGHT / 2
            error = figure.std or None
            strong = place + 1 == len(objectives)
            colour = spec_colour(spec) if strong else pale(spec_colour(spec))
            axes.barh(y, figure.mean, thick * 0.92, color=colour, xerr=error, ecolor=INK)
            text = f"{figure.mean:.1f}  {SHOWN.get(objective, objective)}"
            axes.text(figure.mean + figure.std + 2, y, text, va="center", fontsize=8.5, color=INK)
    axes.set_yticks(range(len(specs)), specs)
    axes.set_ylim(len(specs) - 0.4, -0.6)
    axes.set_xlim(0, 138)
    axes.set_xticks([0, 50, 100], ["0", "50", "100 %"])
    axes.tick_params(length=0, colors=INK, labelsize=9)
    axes.spines[:].set_visible(False)
    axes.set_title("Test accuracy", loc="left", fontsize=10.5, color=INK)


def spec_colour(spec: str) -> str:
    """The colour of the path, or grey for a sum of paths."""
    paths = spec.split("+")
    return SUM if len(paths) > 1 else colours(paths)[spec]


def pale(colour: str) -> str:
    """The colour, half way to white."""
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{(255 + value) // 2:02X}" for value in channels)
