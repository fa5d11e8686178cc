"""Reports of evaluations: tables in Markdown, all figures in JSON."""

from __future__ import annotations

import json
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
        """Add a table of named cases, pooled; figures are both the pooled and the single ones."""
        self.figures |= {part: pool(cases.values()), f"{part} of each": cases}
        self.add_table(title, self.figures[part], *kinds)

    def add_table(self, title: str, rows: Case, *kinds: str) -> None:
        """Add a table whose columns are the metrics of some kinds, unless there are no rows."""
        if not rows:
            return
        metrics = {name: metric for name, metric in METRICS.items() if metric.kind in kinds}
        header = [", ".join(filter(None, (name, metric.unit))) for name, metric in metrics.items()]
        table = [["", *header]]
        table += [[label, *(cell(row, name) for name in metrics)] for label, row in rows.items()]
        widths = [max(3, *map(len, column)) for column in zip(*table, strict=True)]
        table.insert(1, ["-" * width for width in widths])
        lines = (f"| {' | '.join(map(str.ljust, row, widths))} |" for row in table)
        self.paragraphs += [f"{title}:", "\n".join(lines)]

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
