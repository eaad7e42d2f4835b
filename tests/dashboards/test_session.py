"""Two readers share models and results, and nothing of one is seen by the other."""

from concurrent.futures import ThreadPoolExecutor

import streamlit as st
import torch

from interp.dashboards import session
from interp.dashboards.shelf import Entry
from interp.edits import Add


def test_steered_and_plain_texts_of_two_readers_never_mix(shelf):
    model = session.opened(Entry("stories-demo", shelf / "stories-demo"), None)
    push = Add(hook=("resid_post", 0), vector=torch.linspace(-1, 1, model.cfg.d_model))

    def text(seed: int, edits: tuple = ()) -> str:
        return session.continued(
            model, "It is a sunny morning. Anna", edits=edits, seed=seed, max_new_tokens=8
        ).text

    asked = [(seed, edits) for seed in range(20) for edits in ((), (push,))]
    alone = [text(*each) for each in asked]
    st.cache_resource.clear()
    with ThreadPoolExecutor(2) as readers:
        together = list(readers.map(lambda each: text(*each), asked))
    assert together == alone
    assert alone[::2] != alone[1::2]


def test_what_was_asked_before_is_remembered_and_other_seeds_are_not_it(shelf):
    model = session.opened(Entry("stories-demo", shelf / "stories-demo"), None)
    ask = {"prompt": "It is a sunny morning. Anna", "untrained": 1}
    first = session.measured("attention", model, **ask, seed=0)
    assert session.measured("attention", model, **ask, seed=0) is first
    assert session.measured("attention", model, **ask, seed=1) is not first
