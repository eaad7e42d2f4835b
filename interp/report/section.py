"""A part of a report as the page's template reads it."""

import re
from dataclasses import dataclass, field
from typing import Any

from interp.report.figures import compact
from interp.report.parts import FigurePart, Part, TablePart, TextPart
from interp.report.prose import paragraphs
from interp.report.tables import Table, text_table
from interp.results.provenance import Provenance

ROWS_SHOWN = 40


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of the page; empty fields are left out of it.

    Attributes:
        title: heading.
        number: number of the figure, counted from 1; None where there is no figure.
        text: paragraphs as HTML.
        finding: the result in one line.
        caption: below the figure, without the finding.
        figure: the figure as small JSON.
        table: numbers below the figure, or the section's own table.
        open_table: whether the table is unfolded from the start.
        code: Python that makes the result again.
        provenance: where the result came from, by the name of each entry.
        line: model, step and weights in one line.
    """

    title: str
    number: int | None = None
    text: str = ""
    finding: str = ""
    caption: str = ""
    figure: dict[str, Any] | None = None
    table: Table | None = None
    open_table: bool = False
    code: str = ""
    provenance: dict[str, str] = field(default_factory=dict)
    line: str = ""


def sections(parts: list[Part]) -> list[Section]:
    """The parts as sections; figures are numbered from 1."""
    page_sections: list[Section] = []
    number = 0
    for part in parts:
        if isinstance(part, FigurePart):
            number += 1
            page_sections.append(_of_figure(part, number))
        elif isinstance(part, TablePart):
            page_sections.append(_of_table(part))
        elif isinstance(part, TextPart):
            page_sections.append(Section(title=part.title, text=paragraphs(part.text)))
    return page_sections


def model_line(origin: Provenance) -> str:
    """Which weights were looked at."""
    step = "" if origin.step is None else f" · step {origin.step:,}"
    return f"{origin.model}{step} · weights {origin.model_hash}"


def provenance_rows(origin: Provenance) -> dict[str, str]:
    """What is known of where a result came from, in words; what does not apply is left out."""
    entries = {
        "instrument": origin.instrument,
        "model": origin.model,
        "loaded from": origin.source,
        "weights": origin.model_hash,
        "step": origin.step,
        "world": origin.world,
        "prompt": origin.prompt,
        "hook points": ", ".join(origin.hooks),
        "edits": origin.edits,
        "seed": origin.seed,
        "precision": origin.dtype,
        "device": origin.device,
        "interp": origin.code_version,
    }
    return {name: str(value) for name, value in entries.items() if value not in (None, "", ())}


def _of_figure(part: FigurePart, number: int) -> Section:
    result, origin = part.result, part.result.provenance
    return Section(
        title=part.heading,
        number=number,
        text=paragraphs(part.comment),
        finding=str(result),
        caption=_without(result.caption(), str(result)),
        figure=compact(part.figure)[0],
        table=text_table(result.frame(), ROWS_SHOWN),
        code=result.code(),
        provenance=provenance_rows(origin),
        line=model_line(origin),
    )


def _of_table(part: TablePart) -> Section:
    rows = text_table(part.frame, 5 * ROWS_SHOWN)
    return Section(title=part.title, text=paragraphs(part.comment), table=rows, open_table=True)


def _without(caption: str, finding: str) -> str:
    """The caption without the sentence of the finding, which stands above the figure already."""
    sentence = rf"(^|(?<=[.] )){re.escape(finding.rstrip('.'))}[.](\s+|$)"
    return re.sub(sentence, "", caption) or caption
