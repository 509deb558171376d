"""Numbers as the benches print them."""

import statistics


def number(value):
    return "-" if value is None else f"{value:,}"


def seconds(value):
    return "-" if value is None else f"{value:.2f}"


def median(values):
    return statistics.median(values) if values else None


def verdict(reached):
    return {True: "reached", False: "**missed**", None: "not measured"}[reached]


def table(head, rows):
    """A Markdown table that is a table in a terminal too."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells):
        first, *others = cells
        return "| " + " | ".join([first.ljust(widths[0])] + [c.rjust(w) for c, w in zip(others, widths[1:])]) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2)] + ["-" * (w + 1) + ":" for w in widths[1:]]) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])
