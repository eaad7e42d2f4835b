"""An error's text is a sentence, whatever stands in it."""

import pickle

import pytest

from interp.core.cost import Cost, CostError
from interp.core.errors import LONGEST, CheckpointError, ConfigError, InterpError, TokenError


@pytest.mark.parametrize("kind", [InterpError, CheckpointError, ConfigError, TokenError])
@pytest.mark.parametrize("sign", ["x", "é", "\ud83d", "🐈"])
def test_a_value_of_any_length_leaves_both_ends_of_the_sentence(kind, sign):
    error = kind(f"A number was needed; got {sign * 10_000}. Write one.")
    assert len(str(error).encode()) <= LONGEST
    assert str(error).startswith("A number was needed") and str(error).endswith("Write one.")


def test_other_sentences_stay_as_they_are():
    assert str(CheckpointError("It is not é.")) == "It is not é."
    assert str(pickle.loads(pickle.dumps(ConfigError("Short.")))) == "Short."
    refused = CostError("Too much.", Cost(seconds=1.0, gigabytes=1.0))
    assert refused.question == "Too much." and str(refused).startswith("Too much. To go on")
