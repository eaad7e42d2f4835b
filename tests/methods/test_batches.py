"""Texts in padded batches: each comes out as it does alone, and memory does not grow with them."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from interp.core.edits import Add, Where
from interp.core.errors import NotEnoughDataError
from interp.core.hooks import short_name
from interp.methods.activations import mean_rows, median_norms, rows_at
from interp.methods.batches import (
    TokenValues,
    encoded_texts,
    nats_per_token,
    padded,
    read_texts,
    rows_at_once,
    text_batches,
    texts_or_stories,
)
from interp.methods.data.examples import Example
from tests.analyses.handmade import induction_model
from tests.families import tiny

ROWS = [[1, 2, 3, 4, 5], [7, 8], [9, 3, 1], [4], [6, 5, 4, 3, 2, 1]]


class Widest(TorchDispatchMode):
    """The number of elements of the largest tensor that was made."""

    def __init__(self):
        super().__init__()
        self.size = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **kwargs or {})
        tensors = [leaf for leaf in tree_iter(made) if isinstance(leaf, torch.Tensor)]
        # A view of a smaller tensor (an expanded vector) takes no memory of its own.
        sizes = [t.untyped_storage().nbytes() // t.element_size() for t in tensors]
        self.size = max([self.size, *sizes])
        return made


def alone(model, row, **options):
    logits = model.run([row], **options).logits[0, :-1]
    return -logits.log_softmax(-1).gather(-1, torch.tensor(row[1:])[:, None])[:, 0]


@pytest.mark.parametrize("most_values", [1, 29 * 8, 2**22])
def test_each_text_costs_what_it_costs_alone(any_model, most_values):
    nats = nats_per_token(any_model, ROWS, most_values=most_values)
    assert [len(row) for row in nats] == [4, 1, 2, 0, 5]
    for row, cost in zip(ROWS, nats, strict=True):
        torch.testing.assert_close(cost, alone(any_model, row), atol=2e-5, rtol=1e-5)


def test_a_position_of_an_edit_counts_from_the_end_of_each_text(tiny_model):
    last = Add(hook=("resid_pre", 0), vector=torch.ones(16), where=Where(positions=(-2,), bos=True))
    nats = nats_per_token(tiny_model, ROWS, edits=[last])
    for row, cost in zip(ROWS, nats, strict=True):
        if len(row) > 1:
            torch.testing.assert_close(cost, alone(tiny_model, row, edits=[last]))


def test_each_batch_may_have_edits_of_its_own_rows(tiny_model):
    vectors = torch.randn(len(ROWS), 16, generator=torch.Generator().manual_seed(2))

    def edit(vector):
        return [Add(hook=("resid_pre", 1), vector=vector, where=Where(bos=True))]

    nats = nats_per_token(
        tiny_model, ROWS, most_values=29 * 8,
        edits=lambda batch: edit(
            vectors[list(batch.numbers), None].expand(-1, batch.tokens.shape[1], -1)
        ),
    )  # fmt: skip
    for number, (row, cost) in enumerate(zip(ROWS, nats, strict=True)):
        torch.testing.assert_close(cost, alone(tiny_model, row, edits=edit(vectors[number])))


def test_every_row_is_in_one_batch_within_the_bound(tiny_model):
    batches = list(text_batches(tiny_model, ROWS, most_values=16 * 3 * 6))
    assert sorted(number for batch in batches for number in batch.numbers) == [0, 1, 2, 3, 4]
    assert len(batches) > 1
    for batch in batches:
        rows = batch.tokens.shape[0]
        assert rows == 1 or rows <= rows_at_once(
            tiny_model, batch.tokens.shape[1], most_values=16 * 3 * 6
        )
        for number, row, weights in zip(batch.numbers, batch.tokens, batch.weights, strict=True):
            length = len(ROWS[number])
            assert row.tolist() == ROWS[number] + [0] * (len(row) - length)
            assert weights.tolist() == [0, *[1] * (length - 1), *[0] * (len(row) - length)]


def test_what_is_kept_of_a_batch_does_not_keep_the_batch(tiny_model):
    streams = TokenValues(ROWS)
    read_texts(
        tiny_model, ROWS, lambda batch, run: streams.put(batch, run["resid_post", 1]),
        cache=[("resid_post", 1)], logits=False, most_values=29 * 8,
    )  # fmt: skip
    for row, stream in zip(ROWS, streams.rows, strict=True):
        assert stream.untyped_storage().nbytes() == sum(map(len, ROWS)) * 16 * 4
        expected = tiny_model.run([row], cache=["resid_post"])["resid_post", 1][0]
        torch.testing.assert_close(stream, expected)


@pytest.mark.parametrize("cache", [[], ["resid_post"], ["pattern"], ["result", "post"]])
@pytest.mark.parametrize("logits", [True, False])
def test_no_tensor_of_a_pass_is_larger_than_the_bound(any_model, cache, logits):
    points = [name for name in cache if name in set(map(short_name, any_model.hook_names))]
    bound, width = 20_000, 12
    rows = [list(range(1, width + 1))] * 200
    with Widest() as widest:
        read_texts(
            any_model, rows, lambda batch, run: None,
            cache=points, logits=logits, most_values=bound,
        )  # fmt: skip
    assert bound / 8 < widest.size <= bound


def test_the_largest_tensor_does_not_grow_with_the_number_of_texts():
    model = tiny("gpt2", d_vocab=5000)
    sizes = []
    for count in (8, 64):
        with Widest() as widest:
            nats_per_token(model, [[1, 2, 3, 4, 5, 6]] * count, most_values=100_000)
        sizes.append(widest.size)
    assert sizes[0] == sizes[1] <= 100_000


def test_reading_activations_makes_no_tensor_of_a_vocabularys_width():
    model = tiny("gpt2", d_vocab=5000)
    examples = [
        Example(tokens=tuple(range(1, 4 + i % 3)), label="a", story=i, kind="k") for i in range(40)
    ]
    weights = 5000 * 16
    with Widest() as widest:
        rows_at(model, examples, [("resid_post", 0)])
        mean_rows(model, examples, [("resid_post", 1)])
        median_norms(model, examples, [("z", 1)])
    assert widest.size <= weights  # the embedding itself, which is looked up


@pytest.mark.parametrize("sites", [[("resid_pre", 0), ("resid_post", 1)], [("z", 1)]])
def test_rows_at_positions_are_the_streams_there(any_model, sites):
    rows = {0: (1, 2, 3, 4, 5, 6), 1: (9, 8, 7)}
    places = [(1, 2), (0, 6), (0, 3), (1, 3), (0, 1)]
    examples = [Example(tokens=rows[s][:n], label="a", story=s, kind="k") for s, n in places]
    streams = rows_at(any_model, examples, sites, most_values=1)
    means = mean_rows(any_model, examples, sites)
    for number, (story, length) in enumerate(places):
        run = any_model.run([list(rows[story])], cache=sites)
        for site, stream, mean in zip(sites, streams, means, strict=True):
            expected = run[site][0].flatten(1)[:length]
            torch.testing.assert_close(stream[number], expected[-1], atol=1e-5, rtol=1e-5)
            kept = expected[1:] if length > 1 else expected
            torch.testing.assert_close(mean[number], kept.mean(0), atol=1e-5, rtol=1e-5)


def test_texts_become_rows_cut_at_the_context():
    model = induction_model(n_ctx=8)
    rows = encoded_texts(model, ["ant bee", "ant bee cat dog eel fox gnu hen ibis jay"])
    assert [len(row) for row in rows] == [len(model.tokenizer.encode("ant bee")), 8]
    for texts, problem in (([], "got none"), (["ant bee", ""], "text 1 of")):
        with pytest.raises(NotEnoughDataError, match=problem):
            encoded_texts(model, texts)
    with pytest.raises(NotEnoughDataError, match="got neither"):
        texts_or_stories([], None, 3, "train")
    assert texts_or_stories(["a b"], None, 3, "train") == ("a b",)


def test_rows_are_padded_behind_their_end():
    assert padded([[1, 2, 3], [4]]).tolist() == [[1, 2, 3], [4, 0, 0]]
