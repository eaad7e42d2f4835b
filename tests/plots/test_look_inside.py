"""Figures that look inside: axes and units named, token text escaped, controls drawn."""

import json

import pytest
import torch

from interp.analyses.attention_heads.attention import attention
from interp.analyses.attention_heads.head_ablation import head_ablation
from interp.analyses.attention_heads.heads import heads
from interp.analyses.behavior.surprise import surprise
from interp.analyses.lenses.logit_lens import logit_lens
from interp.analyses.lenses.tuned_lens import tuned_lens
from interp.core.errors import ConfigError
from interp.models.tokenizer import Tokenizer
from interp.plots.attention_heads import attention as attention_plot
from tests.conftest import tiny

HOSTILE = ["<b>", "ant", "<script>", "&amp;", "a$x$"]
TEXT = " ".join(HOSTILE)


@pytest.fixture(scope="module")
def model():
    """A model whose vocabulary is markup."""
    tokenizer = Tokenizer.bytes_bpe([TEXT * 40], d_vocab=300)
    model = tiny("gpt2", d_vocab=tokenizer.d_vocab, n_ctx=64)
    model.tokenizer = tokenizer
    return model


@pytest.fixture(scope="module")
def results(model):
    return {
        "logit_lens": logit_lens(model, TEXT, targets=["<"]),
        "tuned_lens": tuned_lens(model, [TEXT] * 6, steps=2),
        "attention": attention(model, TEXT, untrained=1),
        "head_ablation": head_ablation(model, TEXT, untrained=1),
        "heads": heads(model, [TEXT] * 2, n_sequences=2, untrained=1),
        "surprise": surprise(model, TEXT),
    }


FIGURES = [
    ("logit_lens", {}),
    ("logit_lens", {"metric": "entropy", "controls": False}),
    ("logit_lens", {"metric": "kl"}),
    ("logit_lens", {"metric": "target"}),
    ("logit_lens", {"metric": "answer_rank"}),
    ("logit_lens", {"metric": "rank"}),
    ("logit_lens", {"view": "word", "pos": 1}),
    ("logit_lens", {"view": "distance"}),
    ("tuned_lens", {}),
    ("attention", {}),
    ("attention", {"layer": 1, "view": "written"}),
    ("attention", {"layer": 1, "head": 0}),
    ("attention", {"layer": 1, "combine": "largest"}),
    ("attention", {"head": 1, "word": 2, "look": "to"}),
    ("head_ablation", {}),
    ("head_ablation", {"control": "shuffled"}),
    ("heads", {}),
    ("heads", {"score": "induction"}),
    ("heads", {"score": "ablation_texts"}),
    ("surprise", {}),
]
every_figure = pytest.mark.parametrize("name, options", FIGURES)


@every_figure
def test_axes_are_named_and_colour_bars_have_units(results, name, options):
    figure = results[name].figure(**options)
    titles = [axis.title.text for axis in (*figure.select_xaxes(), *figure.select_yaxes())]
    titles += [note.text for note in figure.layout.annotations]
    assert any(titles)
    for axes in (figure.select_xaxes(), figure.select_yaxes()):
        assert any(axis.title.text for axis in axes) or name == "attention"
    bars = [t.colorbar for t in figure.data if t.type == "heatmap" and t.showscale]
    bars += [t.marker.colorbar for t in figure.data if t.type == "bar" and t.marker.showscale]
    assert all(bar.title.text for bar in bars)
    assert bars or name == "tuned_lens" or {"word", "view"} & options.keys()


@every_figure
def test_markup_in_tokens_stays_text(results, name, options):
    text = json.dumps(json.loads(results[name].figure(**options).to_json()))
    for mark in ("<b>", "<script", "$x", "<|bos|>"):
        assert mark not in text


@every_figure
def test_a_figure_is_the_same_twice(results, name, options):
    first, second = (results[name].figure(**options).to_json() for _ in range(2))
    assert first == second


def test_hover_tells_the_token_and_the_numbers(results):
    lens = results["logit_lens"]
    grid = lens.figure().data[0]
    assert "&lt;" in grid.customdata[0][1] and "bits" in grid.customdata[0][1]
    assert "rank" in grid.customdata[-1][-1] and "position 0" in grid.customdata[0][0]
    bars = results["surprise"].figure().data[0]
    assert "&lt;" in bars.customdata[0] and "nats" in bars.customdata[0]
    cell = results["heads"].figure().data[0].customdata[0][0]
    assert "head 0.0" in cell and "untrained" in cell
    pattern = results["attention"].figure().data[0]
    assert "%{y}" in pattern.hovertemplate and "%{x}" in pattern.hovertemplate


def test_layers_run_down_and_the_numbers_are_the_result_s(results):
    lens = results["logit_lens"]
    figure = lens.figure(metric="entropy")
    assert figure.layout.yaxis.autorange == "reversed"
    torch.testing.assert_close(torch.tensor(figure.data[0].z), lens.entropy_bits)
    table = results["heads"]
    heatmap = table.figure(score="first_token").data[0]
    torch.testing.assert_close(torch.tensor(heatmap.z), table.scores[3, :, :, 0])


def test_the_future_is_blank(results):
    grid = torch.tensor(results["attention"].figure(layer=0, head=1).data[0].z)
    assert torch.equal(grid.isnan(), torch.ones_like(grid).triu(1).bool())


def test_controls_are_drawn(results):
    names = {trace.name for trace in results["logit_lens"].figure().data}
    assert {"this model", "another position", "untrained model"} <= names
    titles = [note.text for note in results["heads"].figure().layout.annotations]
    assert sum("untrained" in title for title in titles) == 4
    assert {"tuned lens", "raw lens"} <= {t.name for t in results["tuned_lens"].figure().data}


def test_a_followed_word_is_drawn_beside_the_other_positions(results):
    lens = results["logit_lens"]
    chances, median, ranks, _ = lens.figure(view="word", pos=3).data
    torch.testing.assert_close(torch.tensor(chances.y), lens.log_probs[:, 3, 0].exp())
    others = lens.log_probs[:, [i for i in range(len(lens.tokens)) if i != 3], 0].exp()
    torch.testing.assert_close(torch.tensor(median.y), others.median(-1).values)
    assert ranks.y.tolist() == (1 + lens.ranks[:, 3, 0]).tolist()
    with pytest.raises(ConfigError, match="pos = 99"):
        lens.figure(view="word", pos=99)


def test_every_letter_of_a_text_is_drawn_once(results):
    result = results["surprise"]
    bars = result.figure(width=20).data[0]
    assert len(bars.text) == len(result.tokens)
    ends = torch.tensor(bars.base) + torch.tensor(bars.x)
    assert (ends <= 20).all() and max(bars.y) > 0


@pytest.mark.parametrize(
    "name, options",
    [
        ("logit_lens", {"metric": "loss"}),
        ("logit_lens", {"metric": "rank", "target": 1}),
        ("attention", {"view": "value"}),
        ("attention", {"layer": 2}),
        ("heads", {"score": "name mover"}),
        ("surprise", {"view": "regret"}),
    ],
)
def test_what_cannot_be_drawn_is_refused(results, name, options):
    with pytest.raises(ConfigError):
        results[name].figure(**options)


def test_too_many_heads_are_not_drawn_unreadably(results, monkeypatch):
    monkeypatch.setattr(attention_plot, "MOST_PANELS", 4)
    with pytest.raises(ConfigError, match="layer="):
        results["attention"].figure()
