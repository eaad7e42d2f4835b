"""Losses add up to the text's log-probability; floor and regret are those of a known model."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from interp.analyses.behavior.surprise import surprise
from interp.core.errors import ConfigError, TokenError, WorldError
from interp.models.tokenizer import Tokenizer
from interp.results.result import load_result
from interp.worlds.world import Choice
from tests.analyses.handmade import WORDS, induction_model
from tests.conftest import tiny

TEXT = "ant bee cat. dog eel. fox ant bee."


class Draws:
    """A world of words drawn with equal chance; a full stop follows every second one for sure."""

    name, levels, variables, concepts = "draws", ("full",), {}, {}

    def sample(self, seed, *, level="full", split="train"):
        raise NotImplementedError

    def parse(self, text):
        raise NotImplementedError

    def surprisal(self, text, *, level="full"):
        choices, start = [], 0
        for word in text.replace(".", " .").split():
            at = text.index(word, start)
            if word != ".":
                if word not in WORDS:
                    raise WorldError(f"{word!r} is not one of the words.")
                span, cost = (max(at - 1, 0), at + len(word)), math.log(len(WORDS))
                choices.append(
                    Choice(span=span, surprisal_nats=cost, entropy_nats=cost, kind="word")
                )
            start = at + len(word)
        return tuple(choices)


def uniform_model():
    """Every token equally probable, always."""
    model = with_words("rotary")
    with torch.no_grad():
        model.head.weight.zero_()
    return model


def with_words(family):
    tokenizer = Tokenizer.words([*WORDS, " ".join(WORDS * 2), TEXT])
    model = tiny(family, d_vocab=tokenizer.d_vocab)
    model.tokenizer = tokenizer
    return model


@pytest.mark.parametrize("family", ["gpt2", "rotary", "qwen3", "attn-only"])
def test_losses_sum_to_the_text_s_log_probability(family):
    model = with_words(family)
    ids = torch.tensor([model.tokenizer.encode(TEXT)])
    nats = F.cross_entropy(model(ids)[0, :-1], ids[0, 1:], reduction="sum").item()
    result = surprise(model, TEXT, untrained=False)
    assert result.loss_nats.sum().item() == pytest.approx(nats, abs=1e-3)
    assert result.loss.value == pytest.approx(nats / (ids.shape[1] - 1), abs=1e-4)
    assert len(result.tokens) == ids.shape[1] - 1


def test_floor_and_regret_of_a_model_that_is_known():
    model = uniform_model()
    result = surprise(model, "ant bee cat dog", world=Draws())
    words, v = len(WORDS), model.cfg.d_vocab
    torch.testing.assert_close(result.floor_nats, torch.full((4,), math.log(words)))
    torch.testing.assert_close(result.regret_nats, torch.full((4,), math.log(v / words)))
    assert result.regret.value == pytest.approx(math.log(v / words), abs=1e-5)
    assert result.uniform_nats == pytest.approx(math.log(v))
    assert result.shuffled_nats == pytest.approx(math.log(v), abs=1e-4)
    assert result.kinds == ("word",) * 4


def test_the_floor_is_charged_to_the_words_and_not_to_what_is_certain():
    result = surprise(uniform_model(), TEXT, world=Draws())
    stops = [token == "." for token in result.tokens]
    assert result.floor_nats[torch.tensor(stops)].abs().max() == 0
    assert [kind == "determined" for kind in result.kinds] == stops
    total = sum(choice.surprisal_nats for choice in Draws().surprisal(TEXT))
    assert result.floor_nats.sum().item() == pytest.approx(total, abs=1e-4)
    table = result.by_kind()
    assert sum(count for count, *_ in table.values()) == len(result.tokens)
    assert table["determined"][2] == 0 and table["word"][2] == pytest.approx(math.log(len(WORDS)))


def test_bounds_of_ranks_and_entropy():
    model = with_words("gpt2")
    result = surprise(model, TEXT)
    assert (result.loss_nats >= 0).all()
    assert ((result.ranks >= 0) & (result.ranks < model.cfg.d_vocab)).all()
    assert (result.entropy_bits >= 0).all()
    assert (result.entropy_bits <= math.log2(model.cfg.d_vocab) + 1e-6).all()


def test_the_best_candidates_are_those_of_the_model_itself():
    model = with_words("gpt2")
    result = surprise(model, TEXT, k=3, untrained=False)
    ids = model.tokenizer.encode(TEXT)
    best = model(torch.tensor([ids]))[0, :-1].log_softmax(-1).topk(3)
    torch.testing.assert_close(result.top_log_probs, best.values.detach(), atol=1e-5, rtol=0)
    assert [row[0] for row in result.top_tokens] == model.tokenizer.display(
        best.indices[:, 0].tolist()
    )
    led = result.ranks == 0
    torch.testing.assert_close(-result.loss_nats[led], result.top_log_probs[led, 0])
    assert list(result.frame()["best_token"]) == [row[0] for row in result.top_tokens]
    with pytest.raises(ConfigError, match="k = 0"):
        surprise(model, TEXT, k=0)


def test_sentences_are_the_units_of_the_interval():
    result = surprise(uniform_model(), TEXT)
    assert result.sentences.tolist() == [0] * 4 + [1] * 3 + [2] * 4
    assert result.loss.n == 3


def test_a_copying_model_pays_less_for_what_it_has_read():
    model = induction_model()
    twice = surprise(model, "ant bee cat dog eel bee cat dog eel")
    assert twice.loss_nats[6:].max() < 0.1 < twice.loss_nats[:6].min()
    assert twice.loss.value < twice.shuffled_nats


def test_it_names_its_controls_and_comes_back_from_disk(tmp_path):
    model = uniform_model()
    whole = surprise(model, TEXT, world=Draws())
    bare = surprise(model, TEXT, untrained=False)
    assert "above the floor" in str(whole) and "regret" in whole.caption()
    assert not bare.has_floor and "no floor" in bare.caption() and "floor" not in str(bare)
    assert "no untrained model" in bare.caption() and math.isnan(bare.untrained_nats)
    for word in ("Controls", "shuffled", "equally probable", "95 %"):
        assert word in bare.caption()
    assert load_result(whole.save(tmp_path / "told")) == whole
    assert load_result(bare.save(tmp_path / "bare")) == bare
    assert list(whole.frame()["token"]) == list(whole.tokens)
    assert whole.provenance.world == "draws"


def test_what_cannot_be_read_is_refused():
    model = with_words("gpt2")
    with pytest.raises(TokenError, match="needs two tokens"):
        surprise(model, "")
    with pytest.raises(TokenError):
        surprise(model, " ".join(WORDS * 4))
    with pytest.raises(WorldError):
        surprise(model, "ant . . bee.".replace(" .", "."), world=Refuses())


class Refuses(Draws):
    """A world that has told nothing."""

    def surprisal(self, text, *, level="full"):
        raise WorldError("This world tells no story.")


def test_models_of_other_tokens_compare_by_the_byte():
    """Where each of 256 bytes is equally probable, words of several bytes cost as much a byte."""
    text = "Zoë läuft. Zoë schläft.\n" * 2
    words = Tokenizer.bytes_bpe([text] * 4, d_vocab=300)
    single = Tokenizer.bytes_bpe([], d_vocab=257)
    per_byte = {}
    for name, tokenizer in (("bpe", words), ("bytes", single)):
        model = tiny("rotary", d_vocab=tokenizer.d_vocab, n_ctx=128)
        model.tokenizer = tokenizer
        result = surprise(model, text, untrained=False)
        ids = tokenizer.encode(text)
        lengths = [len(piece) for piece in tokenizer.pieces(ids[1:])]
        assert result.n_bytes == sum(lengths) == len(text.encode("utf-8"))
        # The loss of a token of n bytes, each one of 256, is n ln 256.
        fair = replace(result, loss_nats=torch.tensor(lengths) * math.log(256))
        per_byte[name] = fair.nats_per_byte
        assert f"({fair.nats_per_byte:.3f} per byte)" in str(fair)
        assert result.nats_per_byte == pytest.approx(
            float(result.loss_nats.sum()) / len(text.encode()), rel=1e-6
        )
    assert per_byte["bpe"] == pytest.approx(math.log(256)) == pytest.approx(per_byte["bytes"])
    assert "per byte" not in str(replace(result, n_bytes=0))
