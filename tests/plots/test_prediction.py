"""Figures of a prediction: its numbers, names and units; tokens stay letters."""

import json

import pytest
import torch

from interp.analyses.lenses.prediction import prediction
from interp.core.errors import ConfigError
from interp.models.tokenizer import Tokenizer
from tests.conftest import tiny

TEXT = "<b> ant <script> &amp; a$x$"
VIEWS = ("candidates", "contributions", "path", "draw")


@pytest.fixture(scope="module")
def result():
    """Of a model whose vocabulary is markup."""
    tokenizer = Tokenizer.bytes_bpe([TEXT * 40], d_vocab=300)
    model = tiny("gpt2", d_vocab=tokenizer.d_vocab, n_ctx=64)
    model.tokenizer = tokenizer
    return prediction(model, TEXT, temperature=0.8, k=40, top_k=12)


@pytest.mark.parametrize("view", VIEWS)
def test_axes_are_named_markup_stays_text_and_the_same_is_drawn_twice(result, view):
    figure = result.figure(view=view)
    assert figure.layout.xaxis.title.text and figure.layout.yaxis.title.text
    text = json.dumps(json.loads(figure.to_json()))
    for mark in ("<b>", "<script", "$x", "<|bos|>"):
        assert mark not in text
    assert figure.to_json() == result.figure(view=view).to_json()


def test_bars_are_the_numbers_of_the_result(result):
    sampling, plain = result.figure(view="candidates").data
    torch.testing.assert_close(torch.tensor(sampling.x), result.sampling_probabilities)
    torch.testing.assert_close(torch.tensor(plain.x), result.probabilities)
    assert sampling.marker.color[result.chosen] not in sampling.marker.color[: result.chosen]


def test_a_waterfall_ends_at_the_score(result):
    (bars,) = result.figure(view="contributions", candidate=2).data
    steps, starts = torch.tensor(bars.x), torch.tensor(bars.base)
    torch.testing.assert_close((starts + steps)[:-2], starts[1:-1], atol=1e-4, rtol=0)
    assert (starts + steps)[-2] == pytest.approx(result.scores[2].item(), abs=1e-4)
    assert steps[-1] == pytest.approx(result.scores[2].item())


def test_layers_run_down_and_segments_fill_their_place(result):
    assert result.figure(view="path").layout.yaxis.autorange == "reversed"
    segments = result.figure(view="draw").data
    for at, segment in enumerate(segments):
        assert segment.base[0] == pytest.approx(result.cdf_low[at].item())
        assert segment.x[0] == pytest.approx(result.sampling_probabilities[at].item(), abs=1e-6)


def test_what_cannot_be_drawn_is_refused(result):
    with pytest.raises(ConfigError, match="candidates, contributions, path"):
        result.figure(view="odds")
    with pytest.raises(ConfigError, match="k="):
        result.figure(view="contributions", candidate=99)
