"""The page of surprise: its tokens are the text, its numbers the model's, the kinds at hand."""

import json

import pytest
import torch
import torch.nn.functional as F

from interp.models.io.load import load_model

TEXT = "It is a sunny morning. Anna is in the garden."


def sent(test) -> dict:
    """What the coloured text was given."""
    (element,) = (each for each in test.get("bidi_component") if "labels" in each.proto.json)
    return json.loads(element.proto.json)


def test_the_tokens_are_the_text_and_the_numbers_the_model_s(application, model_root):
    test = application("surprise", story=TEXT)
    assert not test.exception and not test.error
    data = sent(test)
    assert "".join(data["tokens"]) == TEXT
    model = load_model(str(model_root / "stories-demo"))
    ids, _ = model.to_tokens(TEXT)
    logits = model(ids)[0, :-1]
    losses = F.cross_entropy(logits, ids[0, 1:], reduction="none").tolist()
    text = [float(label.split("loss\t")[1].split(" ")[0]) for label in data["labels"]]
    assert text == pytest.approx(losses, abs=6e-4)
    best = logits.softmax(-1).max(-1)
    for label, i, p in zip(data["labels"], best.indices.tolist(), best.values, strict=True):
        assert f"1. {model.tokenizer.display([i])[0]}\t{p:.2%}" in label


def test_colours_are_loss_regret_or_floor_and_the_kinds_are_a_chart(application):
    test = application("surprise")
    signs = {}
    for view in ("loss", "regret", "floor"):
        test.selectbox(key="surprise_colour").set_value(view).run()
        assert not test.exception
        signs[view] = sent(test)["legend"]
    assert signs["loss"]["unit"] == "loss (nats)"
    assert float(signs["regret"]["low"]) == -float(signs["regret"]["high"])
    assert test.get("plotly_chart") == []
    test.selectbox(key="surprise_colour").set_value("kinds").run()
    assert not test.exception and len(test.get("plotly_chart")) == 1
    test.text_area(key="story").set_value("It is is is a.").run()
    assert not test.exception and "cannot generate" in test.info[0].value
    assert test.selectbox(key="surprise_colour").options == ["Loss"]


def test_markup_is_sent_letter_by_letter(application):
    text = "<b>x</b> <script>alert(1)</script>"
    test = application("surprise", model="bytes", story=text)
    assert not test.exception and not test.error
    data = sent(test)
    assert "".join(data["tokens"]).endswith("<script>alert(1)</script>")
    assert torch.tensor([len(label.split("\n")) > 1 for label in data["labels"]]).all()
