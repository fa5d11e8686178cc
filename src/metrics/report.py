"""Reports of evaluations: tables in Markdown, all figures in JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from src.io.files import write_text
from src.metrics.registry import METRICS, Case, pool


@dataclass
class Report:
    """Results of an evaluation."""

    figures: dict[str, Any]
    """Content of the JSON file."""
    paragraphs: list[str] = field(default_factory=list)
    """Text and tables in Markdown."""

    @property
    def text(self) -> str:
        return "\n\n".join(self.paragraphs) + "\n"

    def add_cases(self, part: str, title: str, cases: dict[str, Case], *kinds: str) -> None:
        """Add a table of pooled values; they and those of each case become figures.

        Args:
            part: key of the figures.
            title: a line above the table.
            cases: by name.
            kinds: of case whose metrics are the columns.
        """
        self.figures |= {part: pool(cases.values()), f"{part} of each": cases}
        self.add_table(title, self.figures[part], *kinds)

    def add_table(self, title: str, rows: Case, *kinds: str) -> None:
        """Add a table of rows by label, as `add_cases`; nothing where there are no rows."""
        metrics = {name: metric for name, metric in METRICS.items() if metric.case in kinds}
        header = [", ".join(filter(None, (name, metric.unit))) for name, metric in metrics.items()]
        cells = [
            [label, *(cell(values, name) for name in metrics)] for label, values in rows.items()
        ]
        if rows:
            self.paragraphs += [f"{title}:", markdown_table(["", *header], cells)]

    def write(self, folder: Path, name: str) -> None:
        """Write NAME.md and NAME.json, in which NaN is null.

        Raises:
            InputError: a file cannot be written.
        """
        write_text(folder / f"{name}.md", self.text)
        without_nan = json.loads(json.dumps(self.figures), parse_constant=lambda _: None)
        write_text(folder / f"{name}.json", json.dumps(without_nan, indent=1))


def rows_of_each(cases: dict[str, Case]) -> Case:
    """The values of all cases as rows of one table."""
    return {
        f"{name}, {label}": values for name, case in cases.items() for label, values in case.items()
    }


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
