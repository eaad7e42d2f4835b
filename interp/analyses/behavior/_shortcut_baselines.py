"""What readers answer who did not follow the story: shortcuts, as strong as they can be made.

Each is told more than a model is: where the answer is known it never has to say so, and where it
may be unknown it says so as often as scores best. It knows nothing of any model or tokenizer.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, embedding_bag

from interp.methods.data.questions import QuestionInContext, unknown_answers
from interp.methods.probes.classifier import fit_linear

LONGEST, WINDOW = 5, 8
EPOCHS, BATCH = 25, 128
MOST_WORDS = 1000
FITTED = ("majority", "bag_of_words", "n_gram", "no_attention")
Predict = Callable[[Sequence[QuestionInContext]], Float[Tensor, "question answer"]]


@dataclass(frozen=True, kw_only=True)
class Guesses:
    """One shortcut's answers, a question each.

    Attributes:
        answers: the shortcut's answer to each question, given that the answer was said.
        unknown: whether it says that the answer was never said, where that may be.
        applies: False where this shortcut has nothing to say and the majority speaks for it.
    """

    answers: tuple[str, ...]
    unknown: tuple[bool, ...]
    applies: tuple[bool, ...]

    def at(self, places: Iterable[int]) -> "Guesses":
        """The answers to these questions only."""
        places = list(places)
        return Guesses(
            answers=tuple(self.answers[i] for i in places),
            unknown=tuple(self.unknown[i] for i in places),
            applies=tuple(self.applies[i] for i in places),
        )


def shortcut_guesses(
    fitted: Sequence[QuestionInContext], questions: Sequence[QuestionInContext], seed: int
) -> dict[str, Guesses]:
    """Every shortcut's answers to the questions asked.

    Args:
        fitted: questions of training stories, to fit on.
        questions: the questions to answer.
        seed: the seed of the network's first weights and of its order of examples.
    Returns:
        The world's own shortcuts by name, then `FITTED`.
    """
    answers = sorted({question.answer for question in fitted})
    said = torch.tensor([answer not in unknown_answers(fitted) for answer in answers])
    targets = torch.tensor([answers.index(question.answer) for question in fitted])
    share = 1 - said[targets].double().mean().item()
    makers = (_majority, _bag_of_words, _n_gram, lambda *data: _no_attention(*data, seed))
    guesses = {
        name: decided(make(fitted, targets, len(answers))(questions), answers, said, share)
        for name, make in zip(FITTED, makers, strict=True)
    }
    names = dict.fromkeys(chain.from_iterable(question.guesses for question in fitted))
    own = {name: _own(name, fitted, questions, guesses["majority"]) for name in names}
    return own | guesses


def decided(
    shares: Float[Tensor, "question answer"], answers: Sequence[str], said: Tensor, share: float
) -> Guesses:
    """The best answer that says something, and whether the answer was never said."""
    best = torch.where(said, shares, -1.0).argmax(1).tolist()
    # Balanced accuracy is the mean of P(says unknown | unknown) and P(says known | known). Saying
    # unknown where its probability is p adds p / P(unknown) to the first and costs (1 - p) /
    # P(known) of the second: it pays exactly where p exceeds the average P(unknown).
    unknown = (shares * ~said).sum(1) > share
    return Guesses(
        answers=tuple(answers[i] for i in best),
        unknown=tuple(unknown.tolist()),
        applies=(True,) * len(best),
    )


def _own(
    name: str,
    fitted: Sequence[QuestionInContext],
    questions: Sequence[QuestionInContext],
    majority: Guesses,
) -> Guesses:
    """The world's own shortcut. Where it finds nothing to say, it says that nothing was said."""
    kinds = {question.kind for question in fitted if name in question.guesses}
    never = unknown_answers(fitted)
    applies = [question.kind in kinds for question in questions]
    guesses = [question.guesses.get(name, "") for question in questions]
    fallback = zip(majority.answers, majority.unknown, strict=True)
    both = [
        (guess, not guess or guess in never) if here else other
        for here, guess, other in zip(applies, guesses, fallback, strict=True)
    ]
    return Guesses(
        answers=tuple(guess for guess, _ in both),
        unknown=tuple(unknown for _, unknown in both),
        applies=tuple(applies),
    )


def _majority(
    fitted: Sequence[QuestionInContext], targets: Int[Tensor, " question"], n: int
) -> Predict:
    """How often each answer is given to this kind of question."""
    # Above 0: a kind that was never seen in training would divide 0 by 0.
    counts: dict[str, Tensor] = defaultdict(lambda: torch.full((n,), 1e-6))
    for question, target in zip(fitted, targets.tolist(), strict=True):
        counts[question.kind][target] += 1
    return lambda questions: torch.stack([counts[q.kind] / counts[q.kind].sum() for q in questions])


def _bag_of_words(
    fitted: Sequence[QuestionInContext], targets: Int[Tensor, " question"], n: int
) -> Predict:
    """Logistic regression on how often each word stands in the story and in the question."""
    before = _vocabulary(question.before for question in fitted)
    own = _vocabulary(question.words for question in fitted)

    def counts(questions: Sequence[QuestionInContext]) -> Float[Tensor, "question word"]:
        stories = _count((question.before for question in questions), before, len(questions))
        question_counts = _count((question.words for question in questions), own, len(questions))
        return torch.cat([stories, question_counts], 1)

    fit = fit_linear(counts(fitted), targets[None], n, tolerance=1e-3, max_steps=150)
    return lambda questions: (counts(questions) @ fit.weight[0].T + fit.bias[0]).softmax(1)


def _n_gram(
    fitted: Sequence[QuestionInContext], targets: Int[Tensor, " question"], n: int
) -> Predict:
    """What followed the last words, from one to five of them; longer ones count as they are known.

    Source:
        Witten & Bell 1991 (how far a longer context is trusted).
    """
    counts: dict[tuple[str, ...], Tensor] = defaultdict(lambda: torch.zeros(n))
    for question, target in zip(fitted, targets.tolist(), strict=True):
        for context in _contexts(question):
            counts[context][target] += 1

    def shares(question: QuestionInContext) -> Float[Tensor, " answer"]:
        # From the shortest context on, each longer one is mixed with what the shorter ones say.
        # Witten & Bell: a new answer is as likely as there were different ones, so the shorter
        # contexts weigh as many counts as this one has been followed by kinds of answer.
        mixed = torch.full((n,), 1 / n)
        for context in _contexts(question):
            if context in counts:
                kinds = (counts[context] > 0).sum()
                mixed = (counts[context] + kinds * mixed) / (counts[context].sum() + kinds)
        return mixed

    return lambda questions: torch.stack([shares(question) for question in questions])


def _contexts(question: QuestionInContext) -> list[tuple[str, ...]]:
    words = _ending(question, LONGEST)
    return [tuple(words[len(words) - size :]) for size in range(min(LONGEST, len(words)) + 1)]


def _ending(question: QuestionInContext, size: int) -> tuple[str, ...]:
    """The last words before the answer."""
    return (question.before + question.words)[-size:]


def _no_attention(
    fitted: Sequence[QuestionInContext], targets: Int[Tensor, " question"], n: int, seed: int
) -> Predict:
    """A network that sees the last eight words in their order and nothing before them."""
    numbers = _vocabulary(_ending(question, WINDOW) for question in fitted)

    def windows(questions: Sequence[QuestionInContext]) -> Int[Tensor, "question word"]:
        """One number for each word at each place; the last is for words never seen."""
        none, size = len(numbers), len(numbers) + 1
        rows = [[numbers.get(word, none) for word in _ending(q, WINDOW)] for q in questions]
        padded = [[none] * (WINDOW - len(row)) + row for row in rows]
        return torch.tensor(padded) + size * torch.arange(WINDOW)

    generator = torch.Generator().manual_seed(seed)
    sizes = ((len(numbers) + 1) * WINDOW, 64, n)
    weights = _fit_network(windows(fitted), targets, sizes, generator)
    return lambda questions: _network(windows(questions), weights).softmax(1).detach()


def _fit_network(
    rows: Int[Tensor, "question word"],
    targets: Int[Tensor, " question"],
    sizes: tuple[int, int, int],
    generator: torch.Generator,
) -> list[Tensor]:
    """One hidden layer; of all epochs, the best one on a tenth of the stories left aside."""
    words, hidden, n = sizes
    first = torch.randn(words, hidden, generator=generator) * 0.3
    second = torch.randn(hidden, n, generator=generator) / hidden**0.5
    weights = [first, torch.zeros(hidden), second, torch.zeros(n)]
    weights = [weight.requires_grad_() for weight in weights]
    optimizer = torch.optim.AdamW(weights, lr=3e-3, weight_decay=0.1)
    train = max(1, len(rows) * 9 // 10)
    best, kept = float("inf"), [weight.detach().clone() for weight in weights]
    for _ in range(EPOCHS):
        for part in torch.randperm(train, generator=generator).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(_network(rows[part], weights), targets[part]).backward()
            optimizer.step()
        with torch.no_grad():
            aside = slice(train, None) if train < len(rows) else slice(None)
            loss = cross_entropy(_network(rows[aside], weights), targets[aside]).item()
        if loss < best:
            best, kept = loss, [weight.detach().clone() for weight in weights]
    return kept


def _network(
    rows: Int[Tensor, "question word"], weights: Sequence[Tensor]
) -> Float[Tensor, "question answer"]:
    # The first layer reads WINDOW one-hot words side by side: its product is the sum of the rows of
    # the words that are there.
    first, first_bias, second, second_bias = weights
    return (embedding_bag(rows, first, mode="sum") + first_bias).relu() @ second + second_bias


def _vocabulary(texts: Iterable[Sequence[str]]) -> dict[str, int]:
    """The commonest words, numbered."""
    counts = Counter(chain.from_iterable(texts))
    return {word: i for i, (word, _) in enumerate(counts.most_common(MOST_WORDS))}


def _count(
    texts: Iterable[Sequence[str]], vocabulary: dict[str, int], n: int
) -> Float[Tensor, "question word"]:
    counts = torch.zeros(n, len(vocabulary))
    for row, words in zip(counts, texts, strict=True):
        known = [vocabulary[word] for word in words if word in vocabulary]
        row.index_add_(0, torch.tensor(known, dtype=torch.long), torch.ones(len(known)))
    return counts
