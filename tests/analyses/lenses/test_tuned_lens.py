"""A tuned lens reads better than the raw one on unseen text, and reads only its own model."""

import pytest
import torch

from interp.analyses.lenses.logit_lens import logit_lens
from interp.analyses.lenses.tuned_lens import TunedLens, split_documents, tuned_lens
from interp.core.errors import ConfigError, ModelMismatchError, NotEnoughDataError
from interp.results.result import load_result
from interp.worlds.world import Story
from tests.analyses.handmade import WORDS, word_tokenizer
from tests.conftest import tiny


def texts(count, length=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(0, len(WORDS), (count, length), generator=generator).tolist()
    return [" ".join(WORDS[i] for i in row) for row in rows]


@pytest.fixture(scope="module")
def model():
    tokenizer = word_tokenizer()
    model = tiny("llama", d_vocab=tokenizer.d_vocab)
    model.tokenizer = tokenizer
    return model


@pytest.fixture(scope="module")
def lens(model):
    return tuned_lens(model, texts(30), steps=120, batch=128, learning_rate=1e-2)


def test_it_reads_nearer_to_the_end_on_documents_it_never_saw(lens):
    for tuned, raw, gain in zip(lens.kl_tuned, lens.kl_raw, lens.gain, strict=True):
        assert 0 <= tuned.value < raw.value
        assert gain.low > 0 and gain.n == 6
    assert lens.loss_nats[-10:].mean() < lens.loss_nats[:10].mean()


def test_without_a_step_it_is_the_raw_lens(model):
    lens = tuned_lens(model, texts(6), steps=0)
    assert lens.kl_tuned == lens.kl_raw and lens.weight.abs().max() == 0
    raw, tuned = (logit_lens(model, "ant bee cat", lens=each) for each in (None, lens))
    assert torch.equal(raw.entropy_bits, tuned.entropy_bits) and tuned.lens == "tuned"


def test_the_lens_is_used_and_the_last_row_left_alone(model, lens):
    text = texts(1, seed=9)[0]
    raw, tuned = (logit_lens(model, text, lens=each, untrained=False) for each in (None, lens))
    assert torch.equal(raw.entropy_bits[-1], tuned.entropy_bits[-1])
    assert not torch.equal(raw.entropy_bits[0], tuned.entropy_bits[0])
    assert tuned.kl[0].value < raw.kl[0].value
    assert tuned.provenance.call["lens"]["$result"]["model_hash"] == model.hash


def test_other_weights_are_refused(model, lens):
    with pytest.raises(ModelMismatchError, match=model.hash):
        logit_lens(model.untrained(1), "ant bee", lens=lens)


def test_it_comes_back_from_disk_and_reads_the_same(model, lens, tmp_path):
    back = TunedLens.load(lens.save(tmp_path / "lens"))
    assert back == lens == load_result(tmp_path / "lens")
    first, second = (logit_lens(model, "ant bee cat", lens=each) for each in (lens, back))
    assert torch.equal(first.kl_nats, second.kl_nats)


def test_it_names_its_controls(lens):
    assert "raw lens" in str(lens) and "held-out documents" in str(lens)
    for word in ("controls", "n = 6 documents", "95 %", "not what is used"):
        assert word in lens.caption()
    assert len(lens.frame()) == len(lens.weight)


def test_of_some_layers_it_is_those_rows_of_the_whole_lens():
    tokenizer = word_tokenizer()
    model = tiny("llama", d_vocab=tokenizer.d_vocab, n_layers=3)
    model.tokenizer = tokenizer
    how = dict(steps=5, batch=32)
    whole = tuned_lens(model, texts(8), **how)
    for layers, own in (([0], [1]), ([1, -3], [1, 2])):
        part = tuned_lens(model, texts(8), layers=layers, **how)
        torch.testing.assert_close(part.weight, whole.weight[own], atol=1e-6, rtol=1e-4)
        for name in ("kl_tuned", "kl_raw", "gain"):
            values, rows = getattr(part, name), [getattr(whole, name)[row] for row in own]
            expected = [each.value for each in rows]
            assert [each.value for each in values] == pytest.approx(expected, abs=1e-5)
        assert list(part.frame()["layer"]) == own
        assert part.row_names == tuple(f"after layer {row - 1}" for row in own)
        assert "layer" in str(part) and "embedding" not in str(part)
        with pytest.raises(ConfigError, match="without layers="):
            logit_lens(model, "ant bee cat", lens=part)
    assert whole.row_names == ("embedding", "after layer 0", "after layer 1")
    for layer, says in ((2, "nothing to learn"), (-1, "nothing to learn"), (3, "0-2")):
        with pytest.raises(ConfigError, match=says):
            tuned_lens(model, texts(8), layers=[layer], **how)


class Told:
    """A world that tells the texts above."""

    name, levels, variables, concepts = "told", ("full",), {}, {}

    def sample(self, seed, *, level="full", split="train"):
        assert split == "train"
        return Story(text=texts(40)[seed], facts=(), choices=())

    def parse(self, text):
        raise NotImplementedError

    def surprisal(self, text, *, level="full"):
        raise NotImplementedError


def test_it_learns_from_a_world_s_stories_and_says_so(model):
    from_world = tuned_lens(model, world=Told(), n_stories=12, steps=3)
    from_texts = tuned_lens(model, texts(40)[:12], steps=3)
    assert torch.equal(from_world.weight, from_texts.weight)
    assert from_world.provenance.world == "told"
    assert from_world.provenance.call["n_stories"] == 12
    for given in ({}, {"texts": texts(6), "world": Told()}):
        with pytest.raises(ConfigError, match="texts or a world"):
            tuned_lens(model, **given)


def test_documents_are_split_and_never_shared():
    rows = [[i] for i in range(20)]
    train, test = split_documents(rows, [], seed=1)
    assert len(train) == 16 and len(test) == 4 and sorted(train + test) == rows
    assert split_documents(rows, [[99], [98]], seed=1) == (rows, [[99], [98]])
    for few, held_out in (([[1]] * 4, []), (rows, [[1]])):
        with pytest.raises(NotEnoughDataError):
            split_documents(few, held_out, seed=0)
