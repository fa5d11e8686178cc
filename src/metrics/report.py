"""Reports of evaluations: tables in Markdown, all figures in JSON, and a plot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.io.files import atomic_write, write_text
from src.metrics.registry import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = tuple[str | tuple[str, ...], dict[str, float]]
"""Labels of a table's row, and its values by the names of `METRICS`."""


@dataclass
class Report:
    """Results of an evaluation."""

    figures: dict[str, Any]
    """Content of the JSON file."""
    paragraphs: list[str] = field(default_factory=list)
    """Text and tables in Markdown."""
    draw: Callable[[Figure], None] | None = None
    """Draws the plot, if there is one."""

    @property
    def text(self) -> str:
        return "\n\n".join(self.paragraphs) + "\n"

    def add_table(
        self, title: str, rows: Iterable[Row], cases: Sequence[type], labels: Sequence[str] = ("",)
    ) -> None:
        """Add a table of metrics under a title; nothing where there are no rows.

        Args:
            title: a line above the table.
            rows: with as many labels each as the table has.
            cases: kinds of case whose metrics are the columns.
            labels: titles of the first columns.
        """
        names = metrics_of(*cases)
        columns = [
            f"{name}, {METRICS[name].unit}" if METRICS[name].unit else name for name in names
        ]
        cells = [
            [*([label] if isinstance(label, str) else label), *(cell(values, n) for n in names)]
            for label, values in rows
        ]
        if cells:
            self.paragraphs += [f"{title}:", markdown_table([*labels, *columns], cells)]

    def write(self, folder: Path, name: str) -> None:
        """Write NAME.md, NAME.json and, where there is a plot, NAME.png.

        Raises:
            InputError: a file cannot be written.
        """
        write_text(folder / f"{name}.md", self.text)
        write_text(folder / f"{name}.json", json.dumps(without_nan(self.figures), indent=1))
        if self.draw:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure

            figure = Figure(layout="constrained")
            FigureCanvasAgg(figure)
            self.draw(figure)
            with atomic_write(folder / f"{name}.png") as partial:
                figure.savefig(partial, format="png", dpi=100)


def metrics_of(*cases: type) -> list[str]:
    """Names of the metrics that measure these kinds of case."""
    return [name for name, metric in METRICS.items() if metric.case in cases]


def cell(values: dict[str, float], name: str) -> str:
    """A metric's value as it is printed; a dash where it is absent or NaN."""
    value = values.get(name, np.nan)
    return f"{value:.{METRICS[name].decimals}f}" if np.isfinite(value) else "-"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are padded, so that it reads well as plain text too."""
    widths = [max(3, *map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (header, rule, *rows)
    )


def ratios(values: dict[str, float], reference: dict[str, float]) -> dict[str, float]:
    """Values over those of a reference, by name."""
    return {name: value / max(reference[name], 1e-9) for name, value in values.items()}


def without_nan(value: Any) -> Any:
    """The same nested value with None for every NaN, which JSON lacks."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if value != value else value


def plot_bars(axes: Axes, title: str, rows: dict[str, dict[str, float]], names: list[str]) -> None:
    """Draw a group of bars for each name, with one bar of each row in every group."""
    width = 0.8 / max(len(rows), 1)
    for index, (label, values) in enumerate(rows.items()):
        places = np.arange(len(names)) + width * (index - (len(rows) - 1) / 2)
        axes.bar(places, [values[name] for name in names], width, label=label)
    axes.set_xticks(range(len(names)), [name.replace(" of ", "\n") for name in names], fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.margins(y=0.15)
    if rows:
        axes.legend(fontsize=8, ncols=5)


def plot_curves(axes: Axes, title: str, curves: dict[str, np.ndarray], rate: float) -> None:
    """Draw curves (T,) at ``rate`` frames per second over the time in seconds."""
    for label, curve in curves.items():
        axes.plot(np.arange(len(curve)) / rate, curve, label=label)
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8, loc="upper right")
