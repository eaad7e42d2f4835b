"""Held-out loss per byte of text: what models with different tokenizers can be compared by."""

from interp.core.surprisal import predicted_bytes
from interp.methods.checkpoints.evaluation_set import Evaluator
from interp.methods.checkpoints.measure_scores import Scores
from interp.methods.measures import Measure
from interp.methods.measures.loss import loss


def loss_per_byte(evaluator: Evaluator) -> dict[str, Scores]:
    """Nats per byte (UTF-8) of the predicted tokens' text; the control is the exact floor."""
    data = evaluator.data
    pairs = zip(data.stories, data.encoded, strict=True)
    n_bytes = tuple(float(predicted_bytes(story.text, spans)) for story, (_, spans) in pairs)
    per_token = loss(evaluator)[""]
    return {"": Scores(part=per_token.part, whole=n_bytes, control=per_token.control)}


MEASURE = Measure(
    title="Held-out loss per byte",
    unit="nats/byte",
    of=loss_per_byte,
    applies=lambda data: bool(data.stories),
    better="low",
    control="exact floor",
    place=0,
)
