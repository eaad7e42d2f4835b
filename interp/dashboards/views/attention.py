"""Where each head looks on one text, and how much it writes from there."""

import streamlit as st

from interp.dashboards import exhibit, frame, session

TITLE, ICON, GROUP = "Attention", ":material/visibility:", "Look inside"
ALL = "all"
VIEWS = {"attention": "Attention weight", "written": "Weight × what is written"}


def render() -> None:
    """Draw the page."""
    what = "Where each head looks. Rows are the words that look, columns the words looked at."
    model, entry = frame.begin(TITLE, what)
    seed = frame.seed_box()
    prompt = frame.prompt_box(model, entry)
    first, second, third = st.columns(3)
    layers = [str(layer) for layer in range(model.cfg.n_layers)]
    heads = [ALL, *(str(head) for head in range(model.cfg.n_heads))]
    layer = first.selectbox("Layer", layers, key="layer", **frame.LINK)
    head = second.selectbox("Head", heads, 1, key="head", **frame.LINK)
    view = third.selectbox("Show", list(VIEWS), format_func=VIEWS.__getitem__, key="weight")
    result = session.measured("attention", model, prompt=prompt, seed=seed)
    chosen = {} if head == ALL else {"head": int(head)}
    title = f"Attention, layer {layer}" + ("" if head == ALL else f", head {head}")
    exhibit.show(result, title, layer=int(layer), view=view, **chosen)
