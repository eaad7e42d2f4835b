"""Write docs/instruments.md from the docstrings of the instruments: `make docs`.

A section is what the instrument's file says of itself (what it shows, its control, its units, a
command), then its function's arguments, what it returns and raises, an example and the source, and
the options of its figure. Nothing on the page is written by hand, so a new instrument is on it.
"""

import inspect
from collections.abc import Iterable
from importlib import import_module
from itertools import groupby
from pathlib import Path

from interp.results.registry import Instrument, instruments
from interp.results.signature import arguments_help, docstring_sections, example_code

PAGE = Path(__file__).with_name("instruments.md")
COMMAND = "    interp run "
HEAD = """# Instruments

An instrument is a function of a model that returns a result: `print(result)` is the finding in one
line with its control, `result.caption()` says n, interval and caveat, `result.frame()` is a tidy
table, `result.figure(...)` a Plotly figure, `result.save(folder)` keeps it. Every instrument is
also a command (`interp run NAME --help` lists its options) and a page of the dashboard. Intervals
are 95 % bootstrap intervals where nothing else is said. The shipped model knows whole words only,
and "Anna" only behind a space: its prompts begin as its stories do ("It is a sunny morning.").

This page is made from the instruments' docstrings by `make docs`.
"""


def page() -> str:
    """The whole page, by families."""
    by_family = sorted(instruments().values(), key=lambda each: each.family)
    parts = [HEAD, _contents(by_family)]
    for family, members in groupby(by_family, key=lambda each: each.family):
        summary = inspect.getdoc(import_module(f"interp.analyses.{family}"))
        parts += [f"## {_words(family)}\n\n{summary}\n", *map(section, members)]
    return "\n".join(parts)


def section(instrument: Instrument) -> str:
    """All about one instrument, under its name as the heading."""
    module = inspect.getmodule(instrument.function)
    parts = docstring_sections(instrument.function.__doc__ or "")
    blocks = [
        f"### {instrument.name}",
        _file_words(inspect.getdoc(module) or ""),
        f"```python\n{example_code(instrument.function.__doc__ or '')}\n```",
        _arguments("Arguments", instrument.function),
        f"**Returns** {_one_line(parts['Returns'])}",
        f"**Raises**\n\n{_list(_entries(parts['Raises']))}",
        _arguments("Figure", instrument.plot),
        f"**Source**: {_one_line(parts['Source'])}",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _contents(members: Iterable[Instrument]) -> str:
    lines = [
        f"- {_words(family)}: " + ", ".join(f"[{each.name}](#{each.name})" for each in group)
        for family, group in groupby(members, key=lambda each: each.family)
    ]
    return "\n".join(lines) + "\n"


def _file_words(docstring: str) -> str:
    """The file's paragraphs; its command, which may go on over several lines, as a block."""
    paragraphs = []
    for paragraph in docstring.split("\n\n"):
        if paragraph.startswith(COMMAND):
            lines = [line.strip() for line in paragraph.splitlines()]
            paragraph = "```\n" + " \\\n    ".join(lines) + "\n```"
        paragraphs.append(_bold_start(paragraph))
    return "\n\n".join(paragraphs)


def _bold_start(paragraph: str) -> str:
    for word in ("Control", "Units"):
        if paragraph.startswith((f"{word}:", f"{word},")):
            return f"**{word}**{paragraph.removeprefix(word)}"
    return paragraph


def _arguments(title: str, function) -> str:
    """The arguments behind the first one, which is the model or the result."""
    defaults = {
        name: "" if parameter.default is parameter.empty else f" = `{parameter.default!r}`"
        for name, parameter in inspect.signature(function).parameters.items()
    }
    entries = list(arguments_help(function.__doc__ or "").items())[1:]
    lines = [f"`{name}`{defaults.get(name, '')}: {text}" for name, text in entries]
    return f"**{title}**\n\n{_list(lines)}" if lines else ""


def _entries(text: str) -> list[str]:
    """Lines that begin a `Name: text`, with the lines that go on with them."""
    entries: list[str] = []
    for line in text.splitlines():
        if line.startswith(" ") and entries:
            entries[-1] += f" {line.strip()}"
        else:
            entries.append(line)
    return entries


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _words(family: str) -> str:
    return family.replace("_", " ").capitalize()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
