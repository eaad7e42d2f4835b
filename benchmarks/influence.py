"""Does taking away the texts that TracIn names change a mistake more than taking random ones away?

    python benchmarks/influence.py [--mistakes 10] [--steps 100]

A small model is trained on 240 stories. For each of its worst answers to held-out questions,
TracIn scores the stories; then the model is trained again from the same weights, on the same
batches in the same order, with 20 stories counting nothing: the 20 that helped the answer most,
the 20 that hurt it most, the 20 that share most words with the question, and random 20.
"""

import argparse
import json
from collections.abc import Collection, Sequence

import torch

import interp
from interp.core.statistics.intervals import Interval, bootstrap_mean, paired_difference
from interp.methods.batches import encoded_texts, text_batches
from interp.methods.data.answer_loss import PromptAnswer, losses_on, worst_questions
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer

TEXTS, REMOVED, BATCH, RANDOM_SETS, LR = 240, 20, 24, 6, 4e-3
SIZES = dict(n_layers=1, d_model=32, n_heads=2, n_ctx=160, positions="rotary", norm="rms")
KINDS = ("helped most", "hurt most", "shared words")


def main() -> None:
    """Run the test and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mistakes", type=int, default=10)
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    world = interp.load_world("stories")
    texts = [world.sample(number).text for number in range(TEXTS)]
    tokenizer = Tokenizer.words([world.sample(number).text for number in range(600)])
    model = train(texts, tokenizer, arguments.steps, keep=4)
    mistakes = worst_questions(model, world, arguments.mistakes)
    pairs = [pair for _, pair, _ in mistakes]
    whole = torch.tensor(losses_on(model, pairs))
    print(
        f"{len(mistakes)} mistakes, losses {whole.min():.2f} to {whole.max():.2f} nats", flush=True
    )

    def change(removed: Collection[int]) -> torch.Tensor:
        """How each mistake's loss changes without these texts."""
        again = train(texts, tokenizer, arguments.steps, without=frozenset(removed))
        return torch.tensor(losses_on(again, pairs)) - whole

    random = torch.stack([change(random_set(seed)) for seed in range(RANDOM_SETS)])
    changes: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number, pair in enumerate(pairs):
        for kind, removed in zip(KINDS, named_sets(model, texts, pair), strict=True):
            changes[kind].append(float(change(removed)[number]))
        print(number, {kind: round(result[-1], 3) for kind, result in changes.items()}, flush=True)
    report(changes, random)


def train(
    texts: Sequence[str],
    tokenizer: Tokenizer,
    steps: int,
    *,
    without: Collection[int] = frozenset(),
    keep: int = 0,
) -> GPT:
    """Always the same weights first and the same batches; texts left out count nothing there."""
    model = GPT(GPTConfig(d_vocab=tokenizer.d_vocab, **SIZES), tokenizer, seed=0, name="small")
    rows = encoded_texts(model, texts)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0)
    generator, history = torch.Generator().manual_seed(0), {}
    for step in range(steps):
        if step * BATCH % len(rows) == 0:
            order = torch.randperm(len(rows), generator=generator).tolist()
        picked = order[step * BATCH % len(rows) :][:BATCH]
        (batch,) = text_batches(model, [rows[i] for i in picked], most_values=2**62)
        counts = torch.tensor([float(picked[i] not in without) for i in batch.numbers])
        model.loss(batch.tokens, batch.weights * counts[:, None]).backward()
        optimizer.step()
        optimizer.zero_grad()
        if keep and (step + 1) % (steps // keep) == 0:
            history[step + 1] = copy_of(model)
    model.history = history
    return model.eval()


def copy_of(model: GPT) -> GPT:
    """The model as it is now."""
    twin = GPT(model.cfg, model.tokenizer, name=model.name)
    twin.load_state_dict(model.state_dict())
    return twin.eval()


def random_set(seed: int) -> list[int]:
    """Random texts to take away, the same for every mistake."""
    return torch.randperm(TEXTS, generator=torch.Generator().manual_seed(100 + seed)).tolist()[
        :REMOVED
    ]


def named_sets(model: GPT, texts: Sequence[str], pair: PromptAnswer) -> list[list[int]]:
    """The texts to take away for one mistake, in the order of KINDS."""
    prompt = torch.tensor([pair.prompt])
    answer = model.tokenizer.decode(list(pair.answer))
    sets = interp.influence(model, texts, prompt=prompt, answer=answer, untrained=0)
    order = sets.scores.argsort(descending=True).tolist()
    similar = sets.overlap.argsort(descending=True).tolist()
    return [order[:REMOVED], order[-REMOVED:], similar[:REMOVED]]


def report(changes: dict[str, list[float]], random: torch.Tensor) -> None:
    """Mean changes with intervals over the mistakes, and paired against random removal."""
    base = random.mean(0)
    table = {"random": (bootstrap_mean(base), None)}
    for kind, sets in changes.items():
        table[kind] = (bootstrap_mean(sets), paired_difference(sets, base))
    sizes = torch.tensor(changes["helped most"]).abs()
    table["size, helped most"] = (bootstrap_mean(sizes), None)
    table["size, random"] = (bootstrap_mean(random.abs().mean(0)), None)
    print("change of the mistake's loss (nats), and its difference from random removal")
    for name, (own, paired) in table.items():
        print(f"  {name:18} {signed(own):28} {signed(paired) if paired else ''}")
    most, random_ = table["helped most"][0], table["random"][0]
    apart = most.above(random_) or random_.above(most)
    print("intervals of 'helped most' and 'random' " + ("do not overlap" if apart else "overlap"))
    print(json.dumps({"changes": changes, "random": random.tolist()}))


def signed(interval: Interval) -> str:
    """`+0.30 [+0.20, +0.41]`"""
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


if __name__ == "__main__":
    main()
