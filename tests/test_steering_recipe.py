"""A recipe's file gives the same texts again, and is refused when it is not one."""

import json
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

import interp
from interp.cli.commands.generate import command
from interp.core.edits import Add, Where
from interp.core.errors import CheckpointError, ConfigError, InterpError, ModelMismatchError
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_model
from interp.models.tokenizer import Tokenizer
from interp.steering_recipe import MOST_CONCEPTS, Ingredient, SteeringRecipe, load_recipe

TEXT = "Anna saw Ben in the hall ; then Anna sang to Ben ."
SIZES = {"n_layers": 2, "d_model": 8, "n_heads": 2, "n_ctx": 32}
SAMPLING = {"max_new_tokens": 12, "temperature": 1.0, "top_k": None, "seed": 5}


def make(seed=1, **sizes):
    tokenizer = Tokenizer.words([TEXT])
    cfg = GPTConfig(d_vocab=tokenizer.d_vocab, **(SIZES | sizes))
    return GPT(cfg, tokenizer, seed=seed, name=f"tiny{seed}").eval()


@pytest.fixture(scope="module")
def model():
    return make()


@pytest.fixture
def recipe(model):
    vectors = torch.randn(2, 8, generator=torch.Generator().manual_seed(0)) * 3
    edits = [
        Add(hook=("resid_post", 0), vector=vectors[0]),
        Add(hook=("resid_post", 1), vector=vectors[1], where=Where(tokens=frozenset({3, 5}))),
    ]
    named = zip(("<b>one", "two"), (1.1, -0.7), edits, strict=True)
    concepts = [Ingredient(name=name, dose=dose, edit=edit) for name, dose, edit in named]
    return SteeringRecipe.of(model, concepts, "Anna saw", **SAMPLING)


def test_a_saved_recipe_writes_the_same_text(model, recipe, tmp_path):
    again = interp.load_recipe(recipe.save(tmp_path / "two.recipe.json"))
    assert again.prompt == recipe.prompt and again.sampling == recipe.sampling
    assert [each.name for each in again.concepts] == ["<b>one", "two"]
    mine, theirs = (
        model.generate(each.prompt, edits=each.edits(model), **each.sampling).text
        for each in (recipe, again)
    )
    assert mine == theirs != model.generate(recipe.prompt, **SAMPLING).text
    assert again.to_json() == recipe.to_json()


def test_a_concept_brings_how_it_was_found(model):
    ends = [" to Ben" * n + end for n in range(1, 7) for end in ("", " in the hall")]
    texts = [[f"Anna {verb}{end}" for end in ends] for verb in ("sang", "saw")]
    concept = interp.concept(model, *texts, site=("resid_post", 1), seed=3)
    each = Ingredient.of(concept, 0.5, name="singing", words=("sang",))
    assert torch.equal(each.add().vector, concept.add(0.5).vector) and each.add().scale == 0.5
    recipe = SteeringRecipe.from_json(SteeringRecipe.of(model, [each]).to_json())
    how = recipe.concepts[0].how
    assert list(how["positive"]) == texts[0]
    assert (how["method"], how["seed"]) == ("mean_difference", 3)
    assert recipe.concepts[0].words == ("sang",) and how["world"] is None
    assert torch.equal(recipe.concepts[0].edit.vector, concept.add().vector)


def test_another_model_of_the_same_size_is_warned_of_and_another_size_refused(recipe):
    with pytest.warns(UserWarning, match="Directions do not carry over"):
        recipe.edits(make(seed=2))
    for sizes in ({"d_model": 16}, {"n_layers": 3}):
        with pytest.raises(ModelMismatchError, match="do not fit"):
            recipe.edits(make(**sizes))


def test_a_foreign_or_damaged_file_is_a_sentence(recipe, tmp_path):
    whole = recipe.to_json()
    changed = {
        "cut": whole[: len(whole) // 2],
        "not JSON": "PK\x03\x04 nothing",
        "deep": "[" * 100_000,
        "a list": "[]",
        "foreign": '{"nodes": []}',
        "a dose moved": whole.replace('"dose": 1.1', '"dose": 9.9'),
    }
    for name, text in changed.items():
        path = tmp_path / "x.json"
        path.write_text(text)
        with pytest.raises(CheckpointError, match="Steering needs a recipe"):
            load_recipe(path)
        assert text != whole, name
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_recipe(tmp_path / "none.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["concepts"].clear(),
        lambda record: record["concepts"].extend(record["concepts"] * MOST_CONCEPTS),
        lambda record: record["concepts"][0].update(dose="much"),
        lambda record: record["concepts"][0].update(dose=float("inf")),
        lambda record: record["concepts"][0].update(dose=10**400),
        lambda record: record["concepts"][0]["edit"]["vector"].update(values=[10**400]),
        lambda record: record["concepts"][0].pop("edit"),
        lambda record: record["concepts"][0]["edit"].update(edit="Call"),
        lambda record: record["concepts"][0]["edit"]["vector"].update(dtype="load"),
        lambda record: record["concepts"][0]["edit"]["vector"].update(values=[1.0, 2.0]),
        lambda record: record["concepts"][0]["edit"].update(hook="resid_post"),
        lambda record: record["sampling"].update(edits="x"),
        lambda record: record["sampling"].update(max_new_tokens="x"),
        lambda record: record.update(model=[]),
        lambda record: record.update(concepts=3),
    ],
)
def test_a_file_made_by_hand_that_makes_no_sense_is_refused(recipe, change):
    from interp.steering_recipe import _digest

    record = json.loads(recipe.to_json())
    del record["sha256"]
    change(record)
    text = json.dumps({**record, "sha256": _digest(record)})
    with pytest.raises(CheckpointError, match="cannot be used"):
        SteeringRecipe.from_json(text)


def test_a_recipe_holds_six_concepts_at_most(model, recipe):
    with pytest.raises(ConfigError, match="one to 6 concepts; got 7"):
        SteeringRecipe.of(model, recipe.concepts[:1] * 7)
    with pytest.raises(ConfigError, match="not as wide"):
        narrow = replace(recipe.concepts[0], edit=Add(hook=("z", 0), vector=torch.ones(3)))
        SteeringRecipe.of(model, [narrow])


def test_the_command_line_steers_with_it(model, recipe, tmp_path):
    folder = save_model(model, tmp_path / "tiny1")
    path = recipe.save(tmp_path / "r.json")
    options = ["--max-new-tokens", "12", "--seed", "5", "--only-new", "--device", "cpu"]
    arguments = [str(folder), "Anna saw", "--recipe", str(path), *options]
    outcome = CliRunner().invoke(command, arguments)
    assert outcome.exit_code == 0, outcome.output
    expected = model.generate("Anna saw", edits=recipe.edits(model), max_new_tokens=12, seed=5)
    assert outcome.output.strip() == expected.text.strip()
    other = save_model(make(d_model=16), tmp_path / "wide")
    refused = CliRunner().invoke(command, [str(other), "Anna", "--recipe", str(path)])
    assert isinstance(refused.exception, InterpError)


@pytest.mark.parametrize("place", ["prompt", "name", "words", "how", "model"])
def test_half_an_emoji_in_a_recipe_is_refused(recipe, place):
    concepts = list(recipe.concepts)
    if place == "prompt":
        other = replace(recipe, prompt="a \ud83d")
    elif place == "model":
        other = replace(recipe, model={**recipe.model, "name": "\ud83d"})
    else:
        half = {"words": ("\udc00",), "how": {"\ud83d": 1}, "name": "\ud83d"}
        half = {place: half[place]}
        other = replace(recipe, concepts=(replace(concepts[0], **half), *concepts[1:]))
    text = json.dumps(json.loads(other.to_json()))  # as escapes, which any file can hold
    with pytest.raises(CheckpointError, match="half a surrogate pair"):
        SteeringRecipe.from_json(text)
