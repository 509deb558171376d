"""Numbers as the benches print them, and the documents made of them."""

import os
import re
import statistics
import textwrap

COLUMNS = 120


def number(value):
    return "-" if value is None else f"{value:,}"


def seconds(value):
    return "-" if value is None else f"{value:.2f}"


def median(values):
    return statistics.median(values) if values else None


def verdict(reached):
    return {True: "reached", False: "**missed**", None: "not measured"}[reached]


def table(head, rows):
    """A Markdown table that is a table in a terminal too, where it fits into COLUMNS."""
    head, *rows = [[str(cell).replace("|", "\\|") for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    if sum(widths) + 3 * len(widths) + 1 > COLUMNS:
        widths = [1] * len(head)

    def line(cells):
        first, *others = cells
        return "| " + " | ".join([first.ljust(widths[0])] + [c.rjust(w) for c, w in zip(others, widths[1:])]) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2)] + ["-" * (w + 1) + ":" for w in widths[1:]]) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def wrapped(document):
    """Its paragraphs and lists in lines of COLUMNS; tables, headings and what is indented as they are."""
    out, paragraph = [], []

    def flush():
        if paragraph:
            mark = re.match(r"[*-] ", paragraph[0])
            out.extend(textwrap.wrap(" ".join(line.strip() for line in paragraph), COLUMNS,
                                     subsequent_indent="  " if mark else "", break_long_words=False, break_on_hyphens=False))
            paragraph.clear()

    for line in document.split("\n"):
        fixed = not line or line.startswith(("|", "#", "    "))
        if fixed or re.match(r"[*-] ", line):
            flush()
        if fixed:
            out.append(line)
        else:
            paragraph.append(line)
    flush()
    return "\n".join(out)


def write_document(path, document):
    """In the place of the one that is there, in one step."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(wrapped(document))
    os.replace(temporary, path)
