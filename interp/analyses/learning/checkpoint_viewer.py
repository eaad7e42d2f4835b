"""A model's text, words, attention and guesses at each checkpoint: pictures of its growing.

The last checkpoint's words lie along their two main directions; each other checkpoint's lie along
its own, turned to agree with the next (orthogonal Procrustes). The turn is in two dimensions on
purpose: with fewer words than dimensions, a turn of the whole space would carry noise onto any
picture.

Control: the first checkpoint, and the share of the words' variance that two dimensions show. One
prompt is an example: the curves of `checkpoint_metrics` are the evidence.

Units: probabilities; embeddings in the model's own units.

    interp run checkpoint_viewer --prompt "It is a sunny morning. Anna is in the" --world stories
        --html checkpoints.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.learning._checkpoint_snapshot import Asked, snapshot
from interp.analyses.learning._procrustes import plane, turned
from interp.core.errors import ConfigError, TokenError
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel, Tokenizer
from interp.methods.activations import residual_sites, site_label
from interp.methods.prompts import displayed, one_row
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.runs.checkpoints import chosen_steps, history_of
from interp.worlds.world import World

if TYPE_CHECKING:
    import pandas as pd

MOST_WORDS, FEWEST_WORDS = 60, 3
LONGEST_TOLD = 60
OWN = "word"


@dataclass(frozen=True, kw_only=True)
class CheckpointViewer(Result):
    """What a model writes, and what is inside it, at each checkpoint.

    Attributes:
        steps: of the checkpoints.
        tokens: of the prompt, for display.
        texts: what each checkpoint writes after the prompt, from the same random numbers.
        words: whose embeddings are shown; empty where too few are single tokens.
        kinds: of each word.
        points: the words in two dimensions; the last checkpoint's two main directions, the others
            turned to agree with it.
        shown: share of the words' variance that two dimensions show, a step each.
        layer: of the head.
        head: whose attention is shown.
        pattern: its attention on the prompt.
        rows: the lens's layers in words: the embedding, then after each layer.
        guesses: the lens's best token, by step, row and position.
        chances: its probability.
        right: share of the prompt's tokens that were the model's first choice.
    """

    steps: tuple[int, ...]
    tokens: tuple[str, ...]
    texts: tuple[str, ...]
    words: tuple[str, ...]
    kinds: tuple[str, ...]
    points: Float[Tensor, "step word dimension=2"]
    shown: Float[Tensor, " step"]
    layer: int
    head: int
    pattern: Float[Tensor, "step query key"]
    rows: tuple[str, ...]
    guesses: tuple[tuple[tuple[str, ...], ...], ...]
    chances: Float[Tensor, "step layer pos"]
    right: Float[Tensor, " step"]
    columns: ClassVar = {
        "right_share": "right",
        "embedding": "points",
        "embedding_shown_share": "shown",
        "attention": "pattern",
        "probability": "chances",
    }
    labels: ClassVar = {
        "step": ("step", "steps"),
        "word": ("word", "words"),
        "kind": ("word", "kinds"),
        "row": ("layer", "rows"),
        "guess": ("step layer pos", "guesses"),
    }

    def finding(self) -> str:
        first, last = (" ".join(text.split())[:LONGEST_TOLD] for text in self.texts[:: self._end])
        return (
            f"Step {self.steps[0]:,} goes on with {first!r}, step {self.steps[-1]:,} with "
            f"{last!r}; of the prompt's tokens {self.right[-1]:.0%} are its first choice "
            f"({self.right[0]:.0%} at step {self.steps[0]:,}, n = {len(self.tokens) - 1} tokens)."
        )

    @property
    def _end(self) -> int:
        return len(self.texts) - 1

    def caption(self) -> str:
        words = (
            f"{len(self.words)} words' embeddings in their own two main directions, turned (never "
            "stretched) to agree with the last checkpoint's; two dimensions show "
            f"{self.shown[0]:.0%} of their variance at the first checkpoint and "
            f"{self.shown[-1]:.0%} at the last. "
            if self.words
            else ""
        )
        return (
            f"{self.finding()} {len(self.steps)} checkpoints write from the same seed. {words}"
            f"Attention of head {self.layer}.{self.head}; the lens reads each layer with the final "
            f"norm and unembedding. The control is the first checkpoint, step {self.steps[0]:,}. "
            "n = 1 prompt, so no interval: these are examples, the curves are the evidence."
        )

    def frame(self) -> "pd.DataFrame":
        """A row a number; and one a checkpoint, with the text that it writes in `text`."""
        import pandas as pd

        written = pd.DataFrame({"quantity": "written", "step": self.steps, "text": self.texts})
        return pd.concat([written, super().frame()], ignore_index=True)


def checkpoint_viewer(
    model: LanguageModel,
    prompt: str = "",
    world: World | None = None,
    *,
    steps: Sequence[int] = (),
    most: int = 50,
    words: Sequence[str] = (),
    layer: int = 0,
    head: int = 0,
    n_tokens: int = 48,
    temperature: float = 1.0,
    seed: int = 0,
) -> CheckpointViewer:
    """Let every checkpoint write from the same seed, and look inside it on the same prompt.

    Args:
        model: opened from a run.
        prompt: to go on from and to look at; empty = the first sentences of a held-out story.
        world: whose words are shown and whose story begins; without one give a prompt.
        steps: of the checkpoints; none = all.
        most: checkpoints at most, spread evenly over log step.
        words: to show instead of the world's; those that are single tokens, 60 at most.
        layer: of the head whose attention is shown.
        head: its number.
        n_tokens: to write at each checkpoint.
        temperature: of the writing; 0 = always the best token.
        seed: of the writing; the same random numbers at each checkpoint.
    Returns:
        CheckpointViewer: texts, points "step word dimension=2", attention and lens by step.
    Raises:
        NotEnoughDataError: the model has no history of two checkpoints.
        ConfigError: no such step or head, or neither prompt nor world.
        TokenError: the prompt cannot be read.
    Example:
        >>> checkpoint_viewer(model, "It is a rainy night.").texts[0]  # doctest: +SKIP
    Source:
        nostalgebraist 2020 (logit lens); Schönemann 1966 (orthogonal Procrustes).
    """
    call = dict(locals())
    history, kept = history_of(model), chosen_steps(model, steps, most)
    _check(model, layer, head)
    prompt = prompt or _beginning(world)
    tokens = one_row(model, prompt)
    names = _single(model.tokenizer, _named(world, words))
    asked = Asked(
        prompt=prompt,
        ids=tuple(number for _, number in names.values()),
        n_tokens=n_tokens,
        temperature=temperature,
        seed=seed,
    )
    seen, patterns = [], []
    for number, step in enumerate(kept):
        report_progress(f"step {step:,}", number, len(kept))
        there = snapshot(history, model.hash, step, tokens, asked)
        seen.append(there)
        is_there = len(there.patterns) > 0
        patterns.append(
            there.patterns[layer, head]
            if is_there
            else _pattern(history[step], tokens, layer, head)
        )
    points, shown = _planes([each.vectors for each in seen])
    return CheckpointViewer(
        steps=kept,
        tokens=displayed(model.tokenizer, tokens[0].tolist()),
        texts=tuple(each.text for each in seen),
        words=tuple(names),
        kinds=tuple(kind for kind, _ in names.values()),
        points=points,
        shown=shown,
        layer=layer,
        head=head,
        pattern=torch.stack(patterns),
        rows=tuple(site_label(site, model.cfg.n_layers) for site in residual_sites(model)),
        guesses=tuple(each.guesses for each in seen),
        chances=torch.stack([each.chances for each in seen]),
        right=torch.tensor([each.right for each in seen]),
        provenance=provenance(
            checkpoint_viewer, call, prompt=prompt, hooks=("pattern", "resid_post")
        ),
    )


def _check(model: LanguageModel, layer: int, head: int) -> None:
    layers, heads = model.cfg.n_layers, model.cfg.n_heads
    if not (0 <= layer < layers and 0 <= head < heads):
        raise ConfigError(
            f"{model.name} has layers 0 to {layers - 1} and heads 0 to {heads - 1}; head "
            f"{layer}.{head} was asked for."
        )


def _beginning(world: World | None) -> str:
    if world is None:
        raise ConfigError("A prompt was needed, or a world whose story begins; neither came.")
    text = world.sample(0, split="held_out").text
    ends = [sentence.span[1] for sentence in world.parse(text).sentences]
    return text[: ends[1]] if len(ends) > 2 else text[: max(1, len(text) // 2)]


def _named(world: World | None, words: Sequence[str]) -> dict[str, str]:
    """Words to their kinds: those given, or the world's by variable, each once."""
    if words:
        return dict.fromkeys(words, OWN)
    found: dict[str, str] = {}
    for variable, values in (world.variables if world else {}).items():
        for word in values:
            found.setdefault(word, variable)
    return found


def _single(tokenizer: Tokenizer, words: dict[str, str]) -> dict[str, tuple[str, int]]:
    """The words that are one token (as inside a sentence, or alone): kind and id."""
    found: dict[str, tuple[str, int]] = {}
    for word, kind in words.items():
        for form in (f" {word.strip()}", word):
            try:
                ids = tokenizer.encode(form, bos=False)
            except TokenError:  # a word that this tokenizer does not know
                continue
            if len(ids) == 1 and len(found) < MOST_WORDS:
                found.setdefault(word, (kind, ids[0]))
    return found if len(found) >= FEWEST_WORDS else {}


def _pattern(
    model: LanguageModel, tokens: Tensor, layer: int, head: int
) -> Float[Tensor, "query key"]:
    """One head's attention, of a model with too many to keep."""
    run = model.run(tokens, cache=[("pattern", layer)], logits=False)
    return run["pattern", layer][0, head].float().cpu()


def _planes(
    vectors: Sequence[Float[Tensor, "word d_model"]],
) -> tuple[Float[Tensor, "step word dimension=2"], Float[Tensor, " step"]]:
    """The words at each step, each turned to agree with the next, from the last backwards."""
    if not len(vectors[0]):
        return torch.zeros(len(vectors), 0, 2), torch.zeros(len(vectors))
    flat = [plane(each) for each in vectors]
    points = [flat[-1][0]]
    for each, _ in reversed(flat[:-1]):
        points.insert(0, turned(each, points[0]))
    return torch.stack(points), torch.tensor([share for _, share in flat])
