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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.learning._checkpoint_snapshot import SnapshotSettings, snapshot
from interp.core.cost import Passes, announce
from interp.core.display import percent
from interp.core.errors import ConfigError, TokenError
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel, Prompt, Tokenizer
from interp.methods.activations import residual_sites, site_label
from interp.methods.prompts import answer_token, displayed, one_row
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.runs.checkpoints import chosen_steps, history_of
from interp.worlds.world import World

if TYPE_CHECKING:
    import pandas as pd

MOST_WORDS, FEWEST_WORDS = 60, 3
LONGEST_TOLD = 60
OWN = "word"
WITHIN = "in the"
"""What a word follows whose form within a sentence is wanted."""


@dataclass(frozen=True, kw_only=True)
class CheckpointViewer(Result):
    """What a model writes, and what is inside it, at each checkpoint.

    Attributes:
        steps: the checkpoints' training steps.
        tokens: the prompt's tokens, for display.
        texts: what each checkpoint writes after the prompt, from the same random numbers.
        words: the words whose embeddings are compared; empty where too few are single tokens.
        kinds: each word's kind: the world's variable, or `word`.
        points: the words in two dimensions: along the last checkpoint's two main directions, the
            other checkpoints' turned to agree with it.
        explained_variance: share of the words' variance in two dimensions, at each step.
        layer: the layer of the head.
        head: the number of the head whose attention is kept.
        pattern: the head's attention on the prompt at each step.
        rows: the lens's layers in words: the embedding, then after each layer.
        guesses: the lens's best token, by step, row and position.
        chances: the probability of each guess.
        right: share of the prompt's tokens that were the checkpoint's first choice.
    """

    steps: tuple[int, ...]
    tokens: tuple[str, ...]
    texts: tuple[str, ...]
    words: tuple[str, ...]
    kinds: tuple[str, ...]
    points: Float[Tensor, "step word dimension=2"]
    explained_variance: Float[Tensor, " step"]
    layer: int
    head: int
    pattern: Float[Tensor, "step query key"]
    rows: tuple[str, ...]
    guesses: tuple[tuple[tuple[str, ...], ...], ...]
    chances: Float[Tensor, "step layer pos"]
    right: Float[Tensor, " step"]

    former_fields: ClassVar[Mapping[str, str]] = {"shown": "explained_variance"}
    columns: ClassVar = {
        "right_share": "right",
        "embedding": "points",
        "embedding_shown_share": "explained_variance",
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
        ends = self.texts[0], self.texts[-1]
        first, last = (
            f"goes on with {start!r}" if start else "ends the text at once"
            for start in (" ".join(text.split())[:LONGEST_TOLD] for text in ends)
        )
        return (
            f"Step {self.steps[0]:,} {first}, step {self.steps[-1]:,} {last}; of the prompt's "
            f"tokens {percent(self.right[-1])} are its first choice ({percent(self.right[0])} at "
            f"step {self.steps[0]:,}, n = {len(self.tokens) - 1} tokens)."
        )

    def caption(self) -> str:
        words = (
            f"{len(self.words)} words' embeddings in their own two main directions, turned (never "
            "stretched) to agree with the last checkpoint's; two dimensions show "
            f"{percent(self.explained_variance[0])} of their variance at the first checkpoint and "
            f"{percent(self.explained_variance[-1])} at the last. "
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

        written = pd.DataFrame({"step": self.steps, "quantity": "written", "text": self.texts})
        return pd.concat([written, super().frame()], ignore_index=True)


def checkpoint_viewer(
    model: LanguageModel,
    prompt: Prompt = "",
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
        prompt: the text to go on from and to look at, or its ids; empty = the first sentences of
            a held-out story.
        world: the world whose words are compared and whose story begins; without one give a
            prompt.
        steps: training steps of the checkpoints; none = all.
        most: checkpoints at most, spread evenly over log step.
        words: words to compare instead of the world's; those that are single tokens, 60 at most.
        layer: layer of the head whose attention is kept.
        head: number of the head whose attention is kept.
        n_tokens: how many tokens each checkpoint writes.
        temperature: temperature of the writing; 0 = always the best token.
        seed: the seed of the writing; the same random numbers at each checkpoint.
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
    history, steps = history_of(model), chosen_steps(model, steps, most)
    _check(model, layer, head)
    prompt = prompt or _beginning(world)
    tokens = one_row(model, prompt)
    single = _single(model.tokenizer, _kinds(world, words))
    width = tokens.shape[1]
    announce(
        model,
        Passes(count=2 * len(steps), tokens=width, logits=(1 + model.cfg.n_layers / 2) * width),
        Passes(count=len(steps) * n_tokens, tokens=1, width=width + n_tokens, logits=1),
        copies=1,
        smaller="Take fewer checkpoints, or write fewer tokens (most=, n_tokens=).",
    )
    settings = SnapshotSettings(
        prompt=prompt if isinstance(prompt, str) else tuple(tokens[0].tolist()),
        ids=tuple(number for _, number in single.values()),
        n_tokens=n_tokens,
        temperature=temperature,
        seed=seed,
    )
    snapshots, patterns = [], []
    for number, step in enumerate(steps):
        report_progress(f"step {step:,}", number, len(steps))
        view = snapshot(history, model.hash, step, tokens, settings)
        snapshots.append(view)
        if len(view.patterns):
            patterns.append(view.patterns[layer, head])
        else:  # too many to keep
            run = history[step].run(tokens, cache=[("pattern", layer)], logits=False)
            patterns.append(run["pattern", layer][0, head].float().cpu())
    points, explained = _planes([view.vectors for view in snapshots])
    return CheckpointViewer(
        steps=steps,
        tokens=displayed(model.tokenizer, tokens[0].tolist()),
        texts=tuple(view.text for view in snapshots),
        words=tuple(single),
        kinds=tuple(kind for kind, _ in single.values()),
        points=points,
        explained_variance=explained,
        layer=layer,
        head=head,
        pattern=torch.stack(patterns),
        rows=tuple(site_label(site, model.cfg.n_layers) for site in residual_sites(model)),
        guesses=tuple(view.guesses for view in snapshots),
        chances=torch.stack([view.chances for view in snapshots]),
        right=torch.tensor([view.right for view in snapshots]),
        provenance=provenance(
            checkpoint_viewer, call, prompt=prompt, hooks=("pattern", "resid_post")
        ),
    )


def _check(model: LanguageModel, layer: int, head: int) -> None:
    layers, heads = model.cfg.n_layers, model.cfg.n_heads
    if not (0 <= layer < layers and 0 <= head < heads):
        raise ConfigError(
            f"{model.name} needs a layer of 0 to {layers - 1} and a head of 0 to {heads - 1}; got "
            f"layer {layer}, head {head}."
        )


def _beginning(world: World | None) -> str:
    if world is None:
        raise ConfigError(
            "Checkpoint viewer needs a prompt, or a world whose story begins; got neither. Give "
            "prompt= or world=."
        )
    text = world.sample(0, split="held_out").text
    ends = [sentence.span[1] for sentence in world.parse(text).sentences]
    return text[: ends[1]] if len(ends) > 2 else text[: max(1, len(text) // 2)]


def _kinds(world: World | None, words: Sequence[str]) -> dict[str, str]:
    """Words to their kinds: those given, or the world's by variable, each once."""
    if words:
        return dict.fromkeys(words, OWN)
    kinds: dict[str, str] = {}
    for variable, values in (world.variables if world else {}).items():
        for word in values:
            kinds.setdefault(word, variable)
    return kinds


def _single(tokenizer: Tokenizer, words: dict[str, str]) -> dict[str, tuple[str, int]]:
    """The words that are one token (as inside a sentence, or alone): kind and id."""
    single: dict[str, tuple[str, int]] = {}
    for word, kind in words.items():
        try:
            number = answer_token(tokenizer, WITHIN, word)
        except TokenError:  # several tokens, or not in the vocabulary
            continue
        if len(single) < MOST_WORDS:
            single[word] = kind, number
    return single if len(single) >= FEWEST_WORDS else {}


def _planes(
    vectors: Sequence[Float[Tensor, "word d_model"]],
) -> tuple[Float[Tensor, "step word dimension=2"], Float[Tensor, " step"]]:
    """The words at each step, each turned to agree with the next, from the last backwards."""
    if not len(vectors[0]):
        return torch.zeros(len(vectors), 0, 2), torch.zeros(len(vectors))
    flat = [principal_plane(each) for each in vectors]
    points = [flat[-1][0]]
    for each, _ in reversed(flat[:-1]):
        points.insert(0, procrustes(each, points[0]))
    return torch.stack(points), torch.tensor([share for _, share in flat])


def principal_plane(
    vectors: Float[Tensor, "word d_model"],
) -> tuple[Float[Tensor, "word 2"], float]:
    """The words on the two directions in which they differ most, and their share of the variance.

    Source:
        Pearson 1901 (principal components).
    """
    centred = (vectors - vectors.mean(0)).double()
    # centred = U S V': the coordinates along the main directions V are centred @ V = U S, and the
    # squares of S are the variances (times the number of words) along them.
    left, sizes, _ = torch.linalg.svd(centred, full_matrices=False)
    points = left[:, :2] * sizes[:2]
    if points.shape[1] < 2:
        points = torch.nn.functional.pad(points, (0, 2 - points.shape[1]))
    total = float((sizes**2).sum())
    return points, float((sizes[:2] ** 2).sum()) / total if total > 0 else 0.0


def procrustes(
    points: Float[Tensor, "word 2"], like: Float[Tensor, "word 2"]
) -> Float[Tensor, "word 2"]:
    """The points turned or mirrored about their centre, never stretched, to lie nearest `like`.

    In two dimensions on purpose: with fewer words than dimensions a rotation of the whole space
    would carry any points onto any others, and show order where there is none.

    Source:
        Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem".
    Example:
        >>> square = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1.5]])
        >>> quarter = torch.tensor([[0.0, 1], [-1, 0]])
        >>> torch.allclose(procrustes(square @ quarter, square), square.double(), atol=1e-6)
        True
    """
    # |points @ R - like|^2 = const - 2 tr(R' points' like). With points' like = U S V' the trace is
    # tr(S (V' R' U)): V' R' U is orthogonal, so no entry of its diagonal exceeds 1, and R = U V'
    # reaches 1 in all of them. Nothing keeps det R = 1, hence mirroring is allowed.
    left, _, right = torch.linalg.svd(points.double().T @ like.double())
    return points.double() @ left @ right
