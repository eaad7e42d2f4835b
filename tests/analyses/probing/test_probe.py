"""Probes: what is planted is found, what is not there is not, and nothing leaks."""

import json
from pathlib import Path

import pytest
import torch

from interp.analyses.probing.probe import Probe, probe
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.statistics.intervals import clopper_pearson
from interp.methods.activations import rows_at
from interp.methods.data.examples import groups, split, world_examples
from interp.methods.probes.probing import fit_sites, only_truth, prepare
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer
from tests.analyses.tiny_world import PLACES, TinyWorld

WORLD = TinyWorld()


@pytest.fixture(scope="module")
def model() -> GPT:
    tokenizer = Tokenizer.words(WORLD.sample(seed).text for seed in range(300))
    cfg = GPTConfig(
        n_layers=2, d_model=24, n_heads=2, d_vocab=tokenizer.d_vocab, n_ctx=48, init_std=None
    )
    return GPT(cfg, tokenizer, seed=1)


@pytest.fixture(scope="module")
def stated(model: GPT) -> Probe:
    return probe(model, WORLD, "place", at="stated", n_stories=200)


def test_a_planted_variable_is_read_without_error(stated: Probe) -> None:
    # The token that states the place is the place's own word: the embedding holds it.
    assert stated.accuracy[0].value == 1.0
    assert min(interval.value for interval in stated.accuracy) > 0.95
    assert stated.classes == PLACES and stated.sites[0] == "embedding"
    assert stated.confusion.sum() == stated.n_test


def test_an_untrained_model_does_not_beat_itself(stated: Probe) -> None:
    if "untrained" in stated.controls:
        assert "untrained" in stated.unbeaten
    assert not stated.beats_controls
    assert "WARNING" in stated.caption()


def test_shuffled_labels_stay_at_chance(model: GPT) -> None:
    result = probe(model, WORLD, "place", at="state", n_stories=300)
    shuffled = result.controls["shuffled"]
    for interval in shuffled:
        by_chance = clopper_pearson(
            round(interval.value * result.n_test), result.n_test, level=0.999
        )
        assert 0.25 in by_chance


def test_the_variable_that_the_position_cannot_know_is_not_found(model: GPT) -> None:
    """Moods are drawn at random: nothing before the mood word tells which it will be."""
    stories = [WORLD.sample(seed, split="held_out") for seed in range(400)]
    rows = [{"text": s.text[: s.facts[2].span[0] - 1], "label": s.facts[2].value} for s in stories]
    assert len({row["label"] for row in rows}) == 3
    result = _from_rows(model, rows)
    assert result.accuracy[result.best].low <= 1 / 3 <= result.accuracy[result.best].high + 0.05


def test_a_shared_beginning_never_stands_on_both_sides(model: GPT) -> None:
    """In this world few sentences can begin a story, so a split by story alone would leak."""
    stories = [WORLD.sample(seed) for seed in range(300)]
    examples = world_examples(model.tokenizer, stories, "place", at="stated", max_tokens=48)
    parts = split(groups(examples), (0.25, 0.15), seed=0)
    prefixes = [{examples[i].tokens for i in part.tolist()} for part in parts]
    texts = [{examples[i].story for i in part.tolist()} for part in parts]
    for one in range(3):
        for other in range(one):
            assert not prefixes[one] & prefixes[other]
            assert not texts[one] & texts[other]
    by_story = split(torch.tensor([e.story for e in examples]), (0.25, 0.15), seed=0)
    naive = [{examples[i].tokens for i in part.tolist()} for part in by_story]
    assert naive[0] & naive[2], "without the rule the same rows would be trained and tested on"


def test_a_leak_would_have_shown(model: GPT) -> None:
    """Random labels on repeated texts: memory of the texts would score 1; ours is at chance."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.randint(0, 2, (60,), generator=generator).tolist()
    texts = [WORLD.sample(seed).text for seed in range(60)]
    rows = [{"text": t, "label": "ab"[d]} for t, d in zip(texts, draws, strict=True)] * 5
    result = _from_rows(model, rows)
    assert max(interval.value for interval in result.accuracy) < 0.85
    assert result.majority.n <= 15


def test_the_mlp_and_other_sites_run_too(model: GPT) -> None:
    result = probe(model, WORLD, "place", at="stated", sites="mlp_out", kind="mlp", n_stories=150)
    assert result.sites == ("mlp_out 0", "mlp_out 1")
    assert result.accuracy[0].value > 0.95 and result.directions.numel() == 0


def test_directions_are_unit_and_read_their_class(model: GPT, stated: Probe) -> None:
    torch.testing.assert_close(stated.directions.norm(dim=1), torch.ones(4))
    ids = [model.tokenizer.encode(f" {place}", bos=False)[0] for place in PLACES]
    embedded = model.run(torch.tensor([[0, i] for i in ids]), cache=[("resid_pre", 0)])
    weight, bias = stated.weight[0], stated.bias[0]
    read = (embedded["resid_pre", 0][:, 1] @ weight.T + bias).argmax(1)
    assert read.tolist() == [0, 1, 2, 3]


def test_the_same_seed_gives_the_same_result_and_it_saves(
    stated: Probe, model: GPT, tmp_path: Path
) -> None:
    again = probe(model, WORLD, "place", at="stated", n_stories=200)
    assert again == stated
    assert Probe.load(stated.save(tmp_path / "probe")) == stated
    frame = stated.frame()
    assert set(frame["quantity"]) == {"accuracy", "control", "majority", "selectivity"}
    assert set(frame["control"]) >= {"shuffled", "control_task"}
    assert stated.sites[stated.best] in str(stated)


def test_csv_and_json_lines_give_the_same_examples(model: GPT, tmp_path: Path) -> None:
    rows = [
        {"text": s.text, "label": s.facts[0].value, "start": s.facts[0].span[0]}
        | {"end": s.facts[0].span[1]}
        for s in (WORLD.sample(seed) for seed in range(120))
    ]
    lines = tmp_path / "rows.jsonl"
    lines.write_text("\n".join(map(json.dumps, rows)))
    table = tmp_path / "rows.csv"
    cells = [f'"{r["text"]}",{r["label"]},{r["start"]},{r["end"]}' for r in rows]
    table.write_text("\n".join(["text,label,start,end", *cells]))
    first, second = (probe(model, labels=path, n_untrained=0) for path in (lines, table))
    assert first.accuracy == second.accuracy and first.accuracy[0].value == 1.0
    assert not first.beats_controls and "no untrained model" in first.caption()


def test_what_cannot_be_probed_is_refused_in_words(model: GPT, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'place'"):
        probe(model, WORLD, "plase")
    with pytest.raises(ConfigError, match="not both"):
        probe(model)
    with pytest.raises(ConfigError, match="no level 'hard'"):
        probe(model, WORLD, "place", level="hard")
    with pytest.raises(NotEnoughDataError, match="40 examples"):
        probe(model, WORLD, "place", n_stories=5)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "Anna", "label": "x"}\nnot json')
    with pytest.raises(ConfigError, match="row 2"):
        probe(model, labels=bad)


def _from_rows(model: GPT, rows: list[dict], **options) -> Probe:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        return probe(model, labels=path, **options)


def labelled_by_place(n: int) -> list[dict]:
    """Stories, each labelled with the place that it says first."""
    stories = [WORLD.sample(seed, split="held_out") for seed in range(n)]
    return [{"text": story.text, "label": story.facts[0].value} for story in stories]


def test_labels_of_ones_own_have_a_bag_of_words_beside_them(model: GPT) -> None:
    """Only the order of two words tells the classes apart, or their presence does."""
    result = _from_rows(model, labelled_by_place(120), n_untrained=1)
    words = result.controls["bag_of_words"]
    assert len(words) == len(result.sites) and len(set(words)) == 1
    assert words[0].value > result.majority.value and "bag of words" in str(result)
    assert "bag_of_words" not in result.unbeaten, "it says nothing of what training did"
    assert ("A bag of words does as well" in result.caption()) == (
        words[0].high >= result.accuracy[result.best].value
    )
    assert "bag_of_words" not in probe(model, WORLD, "place", n_stories=80, n_untrained=0).controls


def test_cross_validation_tests_three_times_as_many_and_parts_no_group(model: GPT) -> None:
    rows = labelled_by_place(100)
    once, crossed = (_from_rows(model, rows, n_untrained=0, folds=folds) for folds in (0, 5))
    assert crossed.n_test > 3 * once.n_test and crossed.confusion.sum() == crossed.n_test
    width = [r.accuracy[r.best].high - r.accuracy[r.best].low for r in (once, crossed)]
    assert width[1] < 0.75 * width[0]
    assert "5-fold cross-validation" in crossed.caption()
    examples = world_examples(
        model.tokenizer, [WORLD.sample(i) for i in range(80)], "place", at="stated", max_tokens=48
    )
    data = prepare(examples, PLACES, 0, 4)
    parts = [*data.folds, data.validation]
    assert sorted(i for part in parts for i in part.tolist()) == list(range(len(examples)))
    prefixes = [{examples[i].tokens for i in part.tolist()} for part in parts]
    assert not any(prefixes[i] & prefixes[j] for i in range(5) for j in range(i))
    with pytest.raises(ConfigError, match="2 folds or more"):
        probe(model, WORLD, "place", folds=1)


def test_cross_validation_is_scikit_learns(model: GPT) -> None:
    """The same rows, parts and penalty: the same predictions, none by what it was taught with."""
    from sklearn.linear_model import LogisticRegression

    examples = world_examples(
        model.tokenizer, [WORLD.sample(i) for i in range(60)], "place", at="state", max_tokens=48
    )
    data = only_truth(prepare(examples, PLACES, 0, 3))
    fit = fit_sites(model, data, [("resid_post", 1)], "linear", 0.01, 0)[0]
    rows = rows_at(model, examples, [("resid_post", 1)])[0].double()
    predicted = torch.full((len(examples),), -1)
    for fold in data.folds:
        train = [i for i in data.train.tolist() if i not in set(fold.tolist())]
        mean, deviation = rows[train].mean(0), rows[train].std(0, correction=0)
        theirs = LogisticRegression(C=1 / (0.01 * len(train)), tol=1e-8, max_iter=5000)
        theirs.fit(((rows[train] - mean) / deviation).numpy(), data.targets[0, train].numpy())
        predicted[fold] = torch.tensor(
            theirs.predict(((rows[fold] - mean) / deviation).numpy()), dtype=torch.long
        )
    same = (predicted[data.test] == fit.predicted).double().mean()
    assert same > 0.98  # ties of two classes aside


def test_nothing_is_read_out_of_labels_that_mean_nothing_under_cross_validation(model: GPT) -> None:
    draws = torch.randint(0, 2, (120,), generator=torch.Generator().manual_seed(1)).tolist()
    rows = [{"text": WORLD.sample(i).text, "label": "ab"[d]} for i, d in enumerate(draws)]
    result = _from_rows(model, rows, n_untrained=0, folds=5)
    assert 0.5 in result.accuracy[result.best]
