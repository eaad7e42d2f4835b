"""Answers by kind of question: the model beside the best shortcut, others as small marks."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from interp.analyses.behavior.comprehension import MODEL, OWN_TEXT, Comprehension, QuestionScore
from interp.core.statistics.intervals import Interval
from interp.plots import theme

NAMES = {
    "carried_and_moved": "carried and moved",
    "never_said": "never said",
    "held_out": "held-out stories",
    "composition": "held-out compositions",
    "bag_of_words": "bag of words",
    "n_gram": "n-gram",
    "no_attention": "no attention",
    "most_recent": "most recent value",
    "first": "first value",
    "where_taken": "where it was taken",
    "rule": "best rule found",
    "two_rules": "best two rules found",
    "tree": "decision tree",
    "dropped_and_left": "dropped, dropper left",
    "moved_more": "moved thrice or more",
    "holder_handed_over": "holder, handed over",
}
WRITTEN = {
    "well_formed": "written: well-formed sentences",
    "consistent": "written: consistent sentences",
    "tellable": "written: whole texts told by the rules",
}
MARKS = ("square-open", "triangle-up-open", "x-thin-open", "star-open", "cross-thin-open")
MARKS += ("triangle-down-open", "hexagon-open", "asterisk-open", "y-up-open", "pentagon-open")
BEST = "best shortcut"
ROW = 48


def figure(result: Comprehension, *, split: str = "") -> go.Figure:
    """Accuracy by kind of question with 95 % intervals, a panel a split.

    The model's circle is hollow where a shortcut is within ten points. Below stand the
    shares of what it wrote: sentences of the grammar, true ones, and whole texts that the world
    could tell.

    Args:
        result: of `interp.comprehension`.
        split: one panel only.
    Raises:
        ConfigError: no such split.
    """
    if split:
        theme.check_choice("split", split, result.accuracy)
    splits = [split] if split else list(result.accuracy)
    kinds = list(dict.fromkeys(row.kind for row in result.rows if row.split in splits))
    written = [name for name in WRITTEN if MODEL in getattr(result, name)]
    figure = make_subplots(
        rows=1,
        cols=len(splits),
        shared_yaxes=True,
        horizontal_spacing=0.04,
        subplot_titles=[theme.label(_name(each), 40) for each in splits],
    )
    theme.style(figure, height=ROW * (len(kinds) + len(written)) + 170)
    for col, each in enumerate(splits, 1):
        _panel(figure, [row for row in result.rows if row.split == each], result.rules, kinds, col)
    if written:
        _text_shares(figure, result, written, len(kinds))
    theme.name_rows(figure, [_name(kind) for kind in kinds] + [WRITTEN[name] for name in written])
    quarters = [0, 0.25, 0.5, 0.75, 1]
    figure.update_xaxes(
        range=[-0.03, 1.03], tickvals=quarters, zeroline=False, title_text="accuracy"
    )
    return figure.update_layout(
        legend={"y": 1 + 46 / (ROW * (len(kinds) + len(written))), "traceorder": "reversed"},
        margin={"t": 96},
    )


def _panel(
    figure: go.Figure,
    rows: Sequence[QuestionScore],
    rules: Mapping[str, Mapping[str, str]],
    kinds: Sequence[str],
    col: int,
) -> None:
    """Lower marks first, so that the model lies on top."""
    places = [kinds.index(row.kind) for row in rows]
    for number, name in enumerate(dict.fromkeys(name for row in rows for name in row.shortcuts)):
        here = [i for i, row in enumerate(rows) if name in row.shortcuts and name != row.best]
        figure.add_trace(
            _dots(
                [rows[i].shortcuts[name] for i in here],
                [places[i] for i in here],
                [_words(rows[i], _name(name), rows[i].shortcuts[name]) for i in here],
                name=_name(name),
                marker={"symbol": MARKS[number % len(MARKS)], "size": 7, "color": theme.CONTROL},
                legend=col == 1,
            ),
            row=1,
            col=col,
        )
    best = [row.shortcuts[row.best] for row in rows]
    words = [
        _words(row, f"{BEST}: {rules.get(row.kind, {}).get(row.best, _name(row.best))}", interval)
        for row, interval in zip(rows, best, strict=True)
    ]
    diamond = {"symbol": "diamond", "size": 11, "color": theme.CATEGORICAL[1]}
    style = {"marker": diamond, "legend": col == 1, "whiskers": True}
    figure.add_trace(_dots(best, [p + 0.13 for p in places], words, name=BEST, **style), 1, col)
    figure.data[-1].update(
        mode="markers+text",
        text=[theme.label(_name(row.best), 24) for row in rows],
        textposition=["bottom left" if each.value > 0.8 else "bottom center" for each in best],
        textfont={"size": 10, "color": theme.MUTED},
    )
    words = [_words(row, "model", row.accuracy) + _margin(row) for row in rows]
    hollow = ["circle" if row.safe else "circle-open" for row in rows]
    circle = {"symbol": hollow, "size": 12, "color": theme.CATEGORICAL[0]}
    style = {"marker": circle, "legend": col == 1, "whiskers": True}
    mine = [row.accuracy for row in rows]
    figure.add_trace(_dots(mine, [p - 0.13 for p in places], words, name="model", **style), 1, col)


def _text_shares(
    figure: go.Figure, result: Comprehension, names: Sequence[str], first: int
) -> None:
    """Shares of what the model wrote, beside the world's own text."""
    writers = (
        (OWN_TEXT, "diamond", theme.CONTROL, 0.13),
        (MODEL, "circle", theme.CATEGORICAL[0], -0.13),
    )
    for who, symbol, color, below in writers:
        shares = [(i, getattr(result, name).get(who)) for i, name in enumerate(names)]
        shares = [(i, share) for i, share in shares if share is not None and share.n]
        words = [
            f"{WRITTEN[names[i]]}, {who}<br>{share.value:.3f} [{share.low:.2f}, {share.high:.2f}]"
            f"<br>{share.n} texts"
            for i, share in shares
        ]
        trace = _dots(
            [share for _, share in shares],
            [first + i + below for i, _ in shares],
            words,
            name=f"text: {who}",
            marker={"symbol": symbol, "size": 10, "color": color},
            legend=True,
            whiskers=True,
        )
        figure.add_trace(trace, row=1, col=1)


def _dots(
    values: Sequence[Interval],
    places: Sequence[float],
    words: Sequence[str],
    *,
    name: str,
    marker: dict,
    legend: bool,
    whiskers: bool = False,
) -> go.Scatter:
    color = marker["color"]
    return go.Scatter(
        x=[each.value for each in values],
        y=list(places),
        mode="markers",
        name=theme.label(name, 40),
        legendgroup=theme.label(name, 40),
        showlegend=legend,
        marker={**marker, "line": {"width": 1.5, "color": color}},
        error_x=theme.whiskers(values, color) if whiskers else None,
        customdata=list(words),
        hovertemplate="%{customdata}<extra></extra>",
        cliponaxis=False,
    )


def _words(row: QuestionScore, who: str, interval: Interval) -> str:
    return (
        f"{theme.label(_name(row.kind), 40)}: {theme.label(who, 120)}<br>{interval.value:.2f} "
        f"[{interval.low:.2f}, {interval.high:.2f}]<br>{row.n} questions in {interval.n} stories"
    )


def _margin(row: QuestionScore) -> str:
    margin, verdict = (
        row.margin,
        "" if row.safe else " (no shortcut is 10 points below, or none for sure)",
    )
    return (
        f"<br>{margin.value:+.2f} [{margin.low:+.2f}, {margin.high:+.2f}] over "
        f"{theme.label(_name(row.best), 40)}{verdict}"
    )


def _name(name: str) -> str:
    return NAMES.get(name, name.replace("_", " "))
