"""Steering in a real browser: a slider moves one text, readers stay apart, recipes travel."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from urllib.parse import quote

import pytest

import interp
from dashboards.components.coloured_text import flowing
from interp.analyses.probing.concept import Concept
from interp.results.result import load_result
from tests.dashboards.browsing import PATIENCE, SHIPPED, outside, settle

PROMPT = "It is a rainy afternoon. Henry is in the harbor."
STEP = 0.05
TURNS, THREADS, SHORT = 8, 8, 8
BASE = "The unsteered text"


@cache
def kept(word: str) -> Concept:
    """A mood's direction, as it is kept with the shipped model."""
    return load_result(SHIPPED / "stories-demo" / "results" / f"concept-{word}")


@pytest.fixture(scope="module")
def written():
    """What the shipped model writes alone at a dose of a mood, as the page shows it."""
    own = interp.load_model("stories-demo")

    def text(word: str, dose: float, seed: int = 0, length: int = 60, model=own) -> str:
        concept = kept(word)
        edits = [concept.add(round(dose, 2), where=concept.where_written)]
        made = model.generate(PROMPT, edits=edits, max_new_tokens=length, seed=seed)
        return "".join(map(flowing, model.tokenizer.display(made.tokens[0])))

    return text


def opened(page, address, word, dose, length=60):
    """The page with one concept at a dose, at rest."""
    query = f"concepts={word}&dose_{word}={dose}&length={length}&prompt={quote(PROMPT)}"
    page.goto(f"{address}/steering?{query}")
    page.locator("[aria-label^='The steered text']").wait_for()
    settle(page)


def shown(page, name: str = "The steered text") -> str:
    """One of the two texts."""
    return page.locator(f"[aria-label^='{name},']").text_content()


def comes(page, text: str, name: str = "The steered text") -> None:
    """Wait until one of the two texts is this one."""
    from playwright.sync_api import expect

    there = page.locator(f"[aria-label^='{name},']")
    expect(there).to_have_text(text, timeout=PATIENCE)
    assert there.text_content() == text


def test_a_slider_moves_the_steered_text_and_the_zones_stand_below(page, shipped_address, written):
    opened(page, shipped_address, "happy", 0.0)
    base = shown(page, BASE)
    assert base == shown(page) == written("happy", 0.0)
    page.get_by_role("slider", name="happy").press("End")
    page.wait_for_url("**dose_happy=2**")
    assert written("happy", 2.0) != base
    comes(page, written("happy", 2.0))
    settle(page)
    assert shown(page, BASE) == base
    strip = page.locator(".strip")
    assert "useful from" in strip.get_attribute("aria-label")
    assert "breaks" in strip.text_content()
    assert outside(page, shipped_address) == []


@pytest.mark.slow
def test_the_texts_of_two_browsers_that_steer_one_model_at_once(
    browser, page, shipped_address, written
):
    """One draws with another seed every turn, the other turns its dose; both are on their way
    while the other's are written, and every text is the one that the model writes alone."""
    other = browser.new_page()
    other.set_default_timeout(PATIENCE)
    opened(page, shipped_address, "happy", 0.75, length=SHORT)
    opened(other, shipped_address, "angry", 2.0, length=SHORT)
    seeds = page.locator("[data-testid=stSidebar] [data-testid=stNumberInputStepUp]")
    dose = other.get_by_role("slider", name="angry")
    seen = set()
    for turn in range(1, TURNS + 1):
        seeds.click()
        dose.press("ArrowLeft")
        own = [written("happy", at, seed=turn, length=SHORT) for at in (0.0, 0.75)]
        theirs = [written("angry", at, length=SHORT) for at in (0.0, 2.0 - turn * STEP)]
        for here, texts in ((page, own), (other, theirs)):
            comes(here, texts[0], BASE)
            comes(here, texts[1])
            seen.update(texts)
    assert len(seen) > TURNS
    other.close()


def test_two_hundred_texts_of_many_threads_that_steer_one_model_at_once(written):
    """As the server's sessions do it: one model, another edit and seed in each thread."""
    model = interp.load_model("stories-demo")
    asked = [(word, dose, seed) for word in ("happy", "angry") for dose in (0.0, 0.75, 2.0, -0.5)
             for seed in range(25)]  # fmt: skip
    alone = [written(word, dose, seed, SHORT, model) for word, dose, seed in asked]
    with ThreadPoolExecutor(THREADS) as pool:
        together = list(pool.map(lambda each: written(*each, SHORT, model), asked))
    assert together == alone and len(asked) == 200 and len(set(alone)) > 30


@pytest.mark.slow
def test_a_saved_recipe_brings_the_text_back(browser, page, shipped_address, written, tmp_path):
    opened(page, shipped_address, "calm", 0.9)
    text = shown(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save recipe").click()
    file = tmp_path / "calm.recipe.json"
    download.value.save_as(file)
    recipe, model = interp.load_recipe(file), interp.load_model("stories-demo")
    made = model.generate(recipe.prompt, edits=recipe.edits(model), **recipe.sampling)
    assert "".join(map(flowing, model.tokenizer.display(made.tokens[0]))) == text
    other = browser.new_page()
    other.set_default_timeout(120_000)
    opened(other, shipped_address, "happy", 0.0)
    assert shown(other) != text
    other.locator("input[type=file]").set_input_files(file)
    other.get_by_text("The recipe was loaded").wait_for()
    settle(other)
    assert shown(other) == text == written("calm", 0.9)
    other.close()
