"""Reports as one HTML file that needs nothing else: tables and bars."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .summary import Accuracy
from .tables import Table

__all__ = ["bars", "details", "page", "paragraph", "table"]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #1b1b1f; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: .25em .8em; border-bottom: 1px solid #d8d8e0; text-align: right; }
th { border-bottom: 2px solid #8a8a99; }
.text { text-align: left; }
.bar0 { fill: #3566a8; } .bar1 { fill: #d07a2d; } .bar2 { fill: #4b9560; } .bar3 { fill: #8d5aa5; }
line { stroke: #1b1b1f; } svg text { font-size: 13px; fill: #1b1b1f; }
@media (prefers-color-scheme: dark) {
  body { background: #17171b; color: #e4e4ea; } th, td { border-color: #44444f; }
  line { stroke: #e4e4ea; } svg text { fill: #e4e4ea; }
}
"""
LABEL, SCALE, HEIGHT = 300, 480, 16


def page(title: str, parts: Sequence[str]) -> str:
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def table(content: Table, level: int = 2) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        inner = "".join(
            f"<{tag}{' class=text' if column < content.texts else ''}>{escape(cell)}</{tag}>"
            for column, cell in enumerate(cells)
        )
        return f"<tr>{inner}</tr>\n"

    return (
        f"<h{level}>{escape(content.title)}</h{level}>\n<table>\n{row(content.header, 'th')}"
        + "".join(row(cells, "td") for cells in content.rows)
        + "</table>"
    )


def details(summary: str, inner: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>\n{inner}\n</details>"


def bars(title: str, names: Sequence[str], rows: Sequence[tuple[str, Sequence[Accuracy | None]]]) -> str:
    """A chart with a bar for each accuracy of each row, its standard error as a line through the end.

    Args:
        names: of the runs, when there are several.
    """
    count = max(len(accuracies) for _, accuracies in rows)
    step = HEIGHT * count + 8
    shapes = []
    for place, (name, accuracies) in enumerate(rows):
        top = place * step
        middle = top + HEIGHT * count / 2 + 4
        shapes.append(f'<text x="{LABEL - 8}" y="{middle:.1f}" text-anchor="end">{escape(name)}</text>')
        for run, accuracy in enumerate(accuracies):
            if accuracy is None:
                continue
            y, end = top + run * HEIGHT, LABEL + accuracy.value * SCALE
            error = accuracy.standard_error * SCALE
            shapes.append(
                f'<rect class="bar{run % 4}" x="{LABEL}" y="{y}" width="{max(end - LABEL, 0):.1f}" height="{HEIGHT - 3}"/>'
                f'<line x1="{max(end - error, LABEL):.1f}" x2="{end + error:.1f}" y1="{y + 6.5}" y2="{y + 6.5}"/>'
                f'<text x="{end + error + 6:.1f}" y="{y + 11}">{accuracy.value * 100:.1f}</text>'
            )
    height = step * len(rows)
    legend = "".join(
        f'<svg width="14" height="12"><rect class="bar{run % 4}" width="12" height="12"/></svg> {escape(name)} &nbsp; '
        for run, name in enumerate(names)
    )
    return (
        f"<h2>{escape(title)}</h2>\n<p>{legend}</p>\n"
        f'<svg width="{LABEL + SCALE + 80}" height="{height}" role="img" aria-label="{escape(title)}">'
        + "\n".join(shapes)
        + "</svg>"
    )
