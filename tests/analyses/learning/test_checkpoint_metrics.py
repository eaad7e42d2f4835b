"""The timeline: what it measures, that it measures once, and that damaged memories do not count."""

import json
import math
import re
from contextlib import nullcontext
from random import Random

import pytest
import torch

from interp.analyses.behavior.surprise import surprise
from interp.analyses.learning.checkpoint_metrics import CheckpointMetrics, checkpoint_metrics
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.methods.checkpoints import measure_cache
from interp.methods.checkpoints.evaluation_set import Settings
from interp.methods.checkpoints.measure_scores import Scores, curve_of
from interp.methods.checkpoints.over_checkpoints import timeline
from interp.methods.data.held_out import held_out_passages
from interp.methods.measures import get_measure, measure_names
from interp.methods.measures.rank import effective_rank
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_weights, write_settings
from interp.models.io.load import load_model
from interp.models.tokenizer import Tokenizer
from interp.runs.corpus import has_held_out
from interp.training.data.batches import Batch
from interp.training.data.sources import write_text_corpus
from interp.training.distributed import join_process_group
from interp.training.loop.evaluate import HeldOut
from interp.training.loop.pretrain import train
from tests.analyses.tiny_growing import STEPS, growing_model
from tests.analyses.tiny_world import TinyWorld
from tests.training.tiny_run import tiny_config

WORLD = TinyWorld()
SMALL = {"n_stories": 24, "n_probed": 80, "n_sequences": 4}
OF_RUN = ("induction", "previous_token", "distance", "rank")


@pytest.fixture(scope="module")
def result() -> CheckpointMetrics:
    measure_cache.forget()
    return checkpoint_metrics(growing_model(), WORLD, **SMALL)


@pytest.fixture
def run(tmp_path):
    """A run's folder with two checkpoints of random weights."""
    tokenizer = Tokenizer.words(["a b c d e f g h i j k"])
    cfg = GPTConfig(n_layers=1, d_model=8, n_heads=2, d_vocab=tokenizer.d_vocab, n_ctx=32)
    write_settings(cfg, tokenizer, tmp_path)
    for step in (0, 3):
        model = GPT(cfg, tokenizer, seed=step)
        save_weights(tmp_path, step, dict(model.state_dict()))
    (tmp_path / "run.lock").touch()
    return tmp_path


def test_it_learns_and_the_curves_say_so(result):
    assert result.steps == STEPS
    assert result.curve("loss")[0] == pytest.approx(math.log(growing_model().cfg.d_vocab), abs=0.4)
    assert result.curve("loss")[-1] < 0.6 * result.curve("loss")[0]
    assert result.curve("log_prob: place")[-1] > result.curve("log_prob: place")[0]
    assert result.curve("distance: all")[0] == 0 and result.curve("distance: all")[-1] > 0


def test_the_loss_is_the_models_own(result):
    model = growing_model()
    rows = [model.tokenizer.encode(WORLD.sample(n, split="held_out").text) for n in range(24)]
    nats = tokens = 0.0
    for row in rows:
        log_probs = model.run(torch.tensor([row])).logits[0, :-1].log_softmax(-1)
        nats -= float(log_probs.gather(-1, torch.tensor(row[1:])[:, None]).sum())
        tokens += len(row) - 1
    assert float(result.curve("loss")[-1]) == pytest.approx(nats / tokens, rel=1e-5)


def test_values_lie_in_their_intervals_and_shares_in_their_range(result):
    value, low, high = result.values.unbind(-1)
    known = ~low.isnan()
    assert known.any() and bool((low[known] <= value[known] + 1e-6).all())
    assert bool((value[known] <= high[known] + 1e-6).all())
    shares = [i for i, name in enumerate(result.measures) if get_measure(name).is_share]
    assert bool(((value[shares] >= 0) & (value[shares] <= 1)).all())


def test_probes_and_answers_stand_beside_shuffled_controls(result):
    named = dict(zip(result.curves, result.control_names, strict=True))
    assert named["accuracy: place"] == "shuffled answers"
    assert named["probe_accuracy: place"] == "shuffled labels"
    at = result.curves.index("log_prob: mood")
    assert abs(float(result.values[at, 0, 0] - result.controls[at, 0])) < 0.5  # nothing learned yet
    assert bool(result.controls[at].isfinite().all())


def test_the_table_has_a_row_for_each_curve_and_checkpoint(result):
    table = result.frame()
    assert len(table) == len(result.curves) * len(STEPS)
    assert set(table.measure) == set(result.measures) <= set(measure_names())
    assert "step" in result.caption() and "n = " in result.finding()


def test_the_figure_has_a_panel_a_measure(result):
    figure = result.figure()
    titles = [note.text for note in figure.layout.annotations]
    assert {result.titles[result.measures.index(m)] for m in result.measures} <= set(titles)
    one = result.figure(measures=["loss"])
    assert len([axis for axis in one.to_plotly_json()["layout"] if "yaxis" in axis]) == 1
    assert "0" in one.layout.xaxis.ticktext
    with pytest.raises(ConfigError, match="loss"):
        result.figure(measures=["los"])


def test_a_checkpoint_is_measured_once_and_a_new_measure_is_only_its_own_pass():
    measure_cache.forget()
    settings = {"n_stories": 6, "n_probed": 0, "n_sequences": 2, "steps": STEPS[:2]}
    first = timeline(growing_model(), WORLD, Settings(measures=["loss"], **settings))
    again = timeline(growing_model(), WORLD, Settings(measures=["loss"], **settings))
    more = timeline(growing_model(), WORLD, Settings(measures=["loss", "accuracy"], **settings))
    assert (first.measured, again.measured, more.measured) == (3, 0, 3)
    other = timeline(growing_model(), WORLD, Settings(measures=["loss"], seed=1, **settings))
    assert other.measured == 3


def test_what_was_measured_stays_beside_the_run(run):
    measure_cache.forget()
    before = checkpoint_metrics(load_model(run), n_sequences=2)
    files = sorted((run / "measures").rglob("*.json"))
    assert len(files) == 2 * 4 + 2  # the untrained model has only the heads' two
    measure_cache.forget()
    again = timeline(load_model(run), None, Settings(n_sequences=2))
    assert again.measured == 0
    assert {curve.measure for curve in again.curves} == set(before.measures) == set(OF_RUN)


@pytest.mark.parametrize("damage", ["", "{", '{"key": 1}', "[]", "number"])
def test_a_damaged_memory_is_measured_again(run, damage):
    measure_cache.forget()
    checkpoint_metrics(load_model(run), measures=["distance"], n_sequences=2)
    for path in (run / "measures").rglob("*.json"):
        record = json.loads(path.read_text())
        record["curves"]["all"]["part"] = [99.0]
        path.write_text(json.dumps(record) if damage == "number" else damage)
    measure_cache.forget()
    again = timeline(load_model(run), None, Settings(measures=["distance"], n_sequences=2))
    assert again.measured == 2 and float(again.curves[0].values.max()) < 99


def test_a_model_that_was_only_copied_stays_as_it_was(run):
    (run / "run.lock").unlink()
    measure_cache.forget()
    checkpoint_metrics(load_model(run), measures=["distance"], n_sequences=2)
    assert not (run / "measures").exists()


def test_a_folder_that_cannot_be_written_is_no_error(run):
    (run / "measures").write_text("a file where the folder should be")
    measure_cache.forget()
    result = checkpoint_metrics(load_model(run), measures=["rank"], n_sequences=2)
    assert result.steps == (0, 3)


def test_what_cannot_be_had_is_refused_in_words():
    with pytest.raises(ConfigError, match="probe_accuracy"):
        checkpoint_metrics(growing_model(), measures=["probe_accuracy"])
    with pytest.raises(ConfigError, match="No measure is called 'los'"):
        checkpoint_metrics(growing_model(), WORLD, measures=["los"])
    with pytest.raises(ConfigError, match="two texts"):
        checkpoint_metrics(growing_model(), texts=["Anna sits in the attic."])
    with pytest.raises(NotEnoughDataError, match="two checkpoints"):
        checkpoint_metrics(GPT(growing_model().cfg, growing_model().tokenizer), WORLD)


def test_texts_alone_have_a_loss():
    texts = [WORLD.sample(number).text for number in range(3)]
    result = checkpoint_metrics(growing_model(), texts=texts, measures=["loss"], steps=STEPS[::3])
    assert result.curves == ("loss",) and result.control_names == ("",)


def test_a_loss_per_byte_is_that_of_surprise_and_of_a_runs_own_evaluation():
    model, texts = growing_model(), [WORLD.sample(number).text for number in range(2)]
    result = checkpoint_metrics(model, texts=texts, measures=["loss", "loss_per_byte"])
    read = [surprise(model, text, untrained=False) for text in texts]
    nats, n_bytes = sum(float(r.loss_nats.sum()) for r in read), sum(r.n_bytes for r in read)
    assert float(result.curve("loss_per_byte")[-1]) == pytest.approx(nats / n_bytes, rel=1e-6)
    rows = [model.tokenizer.encode(text) for text in texts]
    longest = max(map(len, rows))
    padded = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    weights = torch.tensor([[1.0] * len(row) + [0.0] * (longest - len(row)) for row in rows])
    batch = Batch(tokens=padded, weights=weights, floor=None)
    with join_process_group("cpu") as group:
        record = HeldOut(batch, 2, group).evaluate(model, nullcontext)
    model.eval()
    assert record["bytes"] == n_bytes
    assert record["loss_nats_per_byte"] == pytest.approx(nats / n_bytes, rel=1e-5)


def words_by_hand(model, texts):
    """Words right, words, and uses of the commonest word, one text at a time."""
    right, words = 0, []
    for text in texts:
        ids, spans = model.tokenizer.encode_with_spans(text)
        best = model.run(torch.tensor([ids])).logits[0].argmax(-1).tolist()
        for word in re.finditer(r"\w+", text):
            of = [i for i, (a, b) in enumerate(spans) if a < word.end() and b > word.start()]
            if of[0] > 0:
                right += all(best[i - 1] == ids[i] for i in of)
                words.append(word[0])
    return right, len(words), max(map(words.count, words))


def test_known_words_are_those_whose_every_token_is_first_choice():
    model, texts = growing_model(), [WORLD.sample(number).text for number in range(4)]
    result = checkpoint_metrics(model, texts=texts, measures=["known_words"])
    right, n, commonest = words_by_hand(model, texts)
    assert 0 < right < n
    assert float(result.curve("known_words")[-1]) == pytest.approx(right / n)
    assert float(result.controls[0, -1]) == pytest.approx(commonest / n)
    assert result.curve("known_words")[0] < 0.2


def test_a_run_on_ones_own_text_is_read_on_what_it_was_never_trained_on(tmp_path):
    random = Random(0)
    text = " ".join(random.choice(["sun", "moon", "naïve", "owl's"]) for _ in range(3000))
    (tmp_path / "mine.txt").write_text(text, "utf-8")
    corpus = write_text_corpus(tmp_path / "mine.txt", tmp_path / "run" / "corpus", d_vocab=280)
    recipe = tiny_config(d_vocab=corpus.tokenizer.d_vocab, steps=4, checkpoint_every=2)
    train(recipe, tmp_path / "run" / "corpus", tmp_path / "run", device="cpu")
    model = load_model(tmp_path / "run")
    passages = held_out_passages(model, tmp_path / "run", 9)
    assert len(passages) == 9 and all(passage in text for passage in passages)
    held_out = text[-len(text) // 10 - 20 :]
    assert all(passage in held_out for passage in passages)
    result = checkpoint_metrics(model, n_stories=9, n_sequences=2)
    assert {"loss", "loss_per_byte", "known_words"} < {*result.curves}
    assert result.n[result.curves.index("loss_per_byte")] == 9
    [tokens] = (tmp_path / "run" / "corpus" / "held_out").glob("*/tokens.u16")
    tokens.write_bytes(bytes(tokens.stat().st_size))
    assert held_out_passages(model, tmp_path / "run", 9) == []
    assert "loss" not in checkpoint_metrics(model, n_sequences=2).curves
    (tmp_path / "run" / "run.json").write_text("{")
    assert not has_held_out(tmp_path / "run")


def test_effective_rank_counts_directions():
    matrix = torch.zeros(6, 9)
    matrix[0, 0] = matrix[1, 1] = matrix[2, 2] = 2.0
    assert effective_rank(matrix) == pytest.approx(3.0)
    assert effective_rank(torch.zeros(3, 3)) == 0.0


def test_stories_are_drawn_alike_at_all_checkpoints():
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(20, generator=generator).tolist()
    scores = [
        Scores(part=tuple(x + shift for x in base), whole=(1.0,) * 20) for shift in (0.0, 5.0)
    ]
    resampled = curve_of("loss", "", scores).resampled(0)
    assert torch.allclose(resampled[:, 1] - resampled[:, 0], torch.full((1000,), 5.0).double())
