"""A part of a report as the page's template reads it."""

import re
from dataclasses import dataclass, field
from typing import Any

from interp.report.figures import compact
from interp.report.parts import FigurePart, Part, TablePart, TextPart
from interp.report.prose import paragraphs
from interp.report.tables import Table, table
from interp.results.provenance import Provenance

ROWS_SHOWN = 40


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of the page; empty fields are left out of it."""

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
    made: list[Section] = []
    for part in parts:
        if isinstance(part, FigurePart):
            made.append(_of_figure(part, 1 + sum(s.number is not None for s in made)))
        elif isinstance(part, TablePart):
            made.append(_of_table(part))
        elif isinstance(part, TextPart):
            made.append(Section(title=part.title, text=paragraphs(part.text)))
    return made


def model_line(told: Provenance) -> str:
    """Which weights were looked at."""
    step = "" if told.step is None else f" · step {told.step:,}"
    return f"{told.model}{step} · weights {told.model_hash}"


def provenance_rows(told: Provenance) -> dict[str, str]:
    """What is known of where a result came from, in words; what does not apply is left out."""
    seen = {
        "instrument": told.instrument,
        "model": told.model,
        "loaded from": told.source,
        "weights": told.model_hash,
        "step": told.step,
        "world": told.world,
        "prompt": told.prompt,
        "hook points": ", ".join(told.hooks),
        "edits": told.edits,
        "seed": told.seed,
        "precision": told.dtype,
        "device": told.device,
        "interp": told.code_version,
    }
    return {name: str(value) for name, value in seen.items() if value not in (None, "", ())}


def _of_figure(part: FigurePart, number: int) -> Section:
    result, told = part.result, part.result.provenance
    return Section(
        title=part.heading,
        number=number,
        text=paragraphs(part.comment),
        finding=str(result),
        caption=_without(result.caption(), str(result)),
        figure=compact(part.figure)[0],
        table=table(result.frame(), ROWS_SHOWN),
        code=result.code(),
        provenance=provenance_rows(told),
        line=model_line(told),
    )


def _of_table(part: TablePart) -> Section:
    shown = table(part.frame, 5 * ROWS_SHOWN)
    return Section(title=part.title, text=paragraphs(part.comment), table=shown, open_table=True)


def _without(caption: str, finding: str) -> str:
    """The caption without the sentence of the finding, which stands above the figure already."""
    sentence = rf"(^|(?<=[.] )){re.escape(finding.rstrip('.'))}[.](\s+|$)"
    return re.sub(sentence, "", caption) or caption
