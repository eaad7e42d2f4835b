"""Shortcuts that nobody had to think of: every rule that skips the story, tried in training.

Where a world says what each rule of a small language answers (`worlds/skimming.py`), every rule is
tried, every pair "this one where it finds something, else that one", and a decision tree over what
all of them find. The best of each is searched for on training stories, and of the three one is
chosen there for a whole kind of question (`discoveries`): chosen for each row, it would be told
which events happened, and that is what a reader of the story has to find out. What is right in
every training question, also of stories in which rare events are frequent, is the story itself in
other words, and no shortcut.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from interp.analyses.behavior._shortcut_baselines import Guesses, decided
from interp.core.statistics.intervals import Interval, pooled_rate
from interp.methods.data.questions import NEVER_SAID, QuestionInContext, unknown_answers

RULE, TWO_RULES, TREE = "rule", "two_rules", "tree"
FOUND = (RULE, TWO_RULES, TREE)
MOST_LEAVES, FEWEST = 40, 5
"""Leaves of the tree, and the fewest questions of one."""
Rule = tuple[str, ...]
"""Names of rules, of which the first that finds something answers."""
Right = Bool[Tensor, "question rule"]


def search(
    fitted: Sequence[QuestionInContext], eventful: Sequence[QuestionInContext] = ()
) -> dict[str, dict[str, Rule]]:
    """For each kind of question the best rule and the best two, of those that err somewhere.

    Args:
        fitted: questions of training stories.
        eventful: of training stories that make rare events frequent. They count for nothing but
            this: a rule that errs in one of them only is no less a shortcut.
    """
    best: dict[str, dict[str, Rule]] = {}
    rare = _by_kind(eventful)
    for kind, questions in _by_kind(fitted).items():
        names = _names(questions)
        sums_of, more = _hits(questions, names), _hits(rare.get(kind, []), names)
        n, most = len(questions) + len(rare.get(kind, [])), -1.0
        for shortcut, sums in sums_of.items():
            hits = torch.where(sums + more[shortcut] < n, sums, -1.0)
            if len(names) and hits.max() > most:
                most, places = hits.max(), torch.unravel_index(hits.argmax(), hits.shape)
                best.setdefault(kind, {})[shortcut] = tuple(names[int(i)] for i in places)
    return best


def found_guesses(
    fitted: Sequence[QuestionInContext],
    questions: Sequence[QuestionInContext],
    rules: Mapping[str, Mapping[str, Rule]],
    majority: Guesses,
) -> dict[str, Guesses]:
    """What the shortcuts of `FOUND` answer.

    Args:
        fitted: questions of training stories.
        questions: the questions to answer.
        rules: the best ones by kind of question.
        majority: speaks where a shortcut has no rule for a kind of question.
    """
    if not rules:
        return {}
    never = unknown_answers(fitted)
    guesses = {name: _guesses(name, questions, rules, never, majority) for name in FOUND[:2]}
    return guesses | {TREE: _tree_guesses(fitted, questions, majority)}


def discoveries(
    fitted: Sequence[QuestionInContext], rules: Mapping[str, Mapping[str, Rule]]
) -> dict[str, str]:
    """For each kind of question, and for `never_said`, the one of `FOUND` that does best there.

    A tree that is grown on one half of the training stories is scored on the other half: by heart
    it would do better than any rule. Of equals it is the first of `FOUND`.

    Args:
        fitted: questions of training stories.
        rules: the best ones by kind of question.
    """
    if not rules:
        return {}
    hits: dict[tuple[str, str, bool], list[bool]] = defaultdict(list)
    halves = [[q for q in fitted if q.story % 2 == half] for half in (0, 1)]
    for own, others in (halves, halves[::-1]):
        nothing = ("",) * len(own), (False,) * len(own)
        silent = Guesses(answers=nothing[0], unknown=nothing[1], applies=nothing[1])
        for name, said in (found_guesses(others, own, rules, silent) if others else {}).items():
            for i, question in enumerate(own):
                hits[NEVER_SAID, name, question.unknown].append(said.unknown[i] == question.unknown)
                if said.applies[i] and not question.unknown:
                    hits[question.kind, name, False].append(said.answers[i] == question.answer)
    shares: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (kind, name, _), own in hits.items():
        shares[kind][name].append(sum(own) / len(own))
    return {
        kind: max((n for n in FOUND if n in each), key=lambda n: sum(each[n]) / len(each[n]))
        for kind, each in shares.items()
    }


def rules_of_errors(
    questions: Sequence[QuestionInContext], answers: Sequence[str], seed: int
) -> dict[str, tuple[str, Interval]]:
    """For each kind of question the rule that gives most wrong answers, and the share it gives.

    The rule is chosen on every second story and the share is that of the others. Of rules within a
    standard error of the best it is the world's first, as those about the very thing come before
    those about anybody. Kinds with fewer than `FEWEST` errors in either half are left out.

    Args:
        questions: questions of one split.
        answers: the model's answers to them.
        seed: of the resampling.
    Source:
        Breiman et al. 1984, "Classification and Regression Trees" (within one standard error).
    """
    given = {id(question): answer for question, answer in zip(questions, answers, strict=True)}
    shares = {}
    for kind, known in _by_kind(questions).items():
        wrong = [question for question in known if given[id(question)] != question.answer]
        halves = [[q for q in wrong if q.story % 2 == half] for half in (0, 1)]
        names = _names(halves[0])
        if not names or min(map(len, halves)) < FEWEST:
            continue
        said = [[given[id(question)] for question in half] for half in halves]
        hits = _tried(halves[0], names, said[0])[0].sum(0).float()
        error = (hits.max() * (1 - hits.max() / len(halves[0]))).sqrt()
        rule = names[int((hits >= hits.max() - error).float().argmax())]
        agrees = _tried(halves[1], [rule], said[1])[0][:, 0].tolist()
        stories = Counter(question.story for question in halves[1])
        hits = Counter(q.story for q, agree in zip(halves[1], agrees, strict=True) if agree)
        share = pooled_rate([hits[story] for story in stories], list(stories.values()), seed=seed)
        shares[kind] = (rule, share)
    return shares


def _by_kind(questions: Iterable[QuestionInContext]) -> dict[str, list[QuestionInContext]]:
    """Those whose answer was said."""
    kinds: dict[str, list[QuestionInContext]] = defaultdict(list)
    for question in questions:
        if not question.unknown:
            kinds[question.kind].append(question)
    return kinds


def _names(questions: Iterable[QuestionInContext]) -> list[str]:
    return list(dict.fromkeys(name for question in questions for name in question.rules))


def _hits(
    questions: Sequence[QuestionInContext], names: Sequence[str]
) -> dict[str, Float[Tensor, "*rule"]]:
    """How many questions each rule answers right, and each rule with another to fall back on."""
    right, applies = (each.float() for each in _tried(questions, names))
    alone = right.sum(0)
    return {RULE: alone, TWO_RULES: alone[:, None] + (1 - applies).T @ right}


def _tried(
    questions: Sequence[QuestionInContext],
    names: Sequence[str],
    answers: Sequence[str] | None = None,
) -> tuple[Right, Right]:
    """Where each rule gives the answer (by default the true one), and where it finds anything."""
    number = {name: i for i, name in enumerate(names)}
    right, applies = torch.zeros(2, len(questions), len(names), dtype=torch.bool).numpy()
    for row, question in enumerate(questions):
        answer = question.answer if answers is None else answers[row]
        for name, guess in question.rules.items():
            if name in number:
                applies[row, number[name]] = True
                right[row, number[name]] = guess == answer
    return torch.from_numpy(right), torch.from_numpy(applies)


def _guesses(
    name: str,
    questions: Sequence[QuestionInContext],
    rules: Mapping[str, Mapping[str, Rule]],
    never: frozenset[str],
    majority: Guesses,
) -> Guesses:
    own = [rules.get(question.kind, {}).get(name, ()) for question in questions]
    answers, unknown = list(majority.answers), list(majority.unknown)
    for i, (question, rule) in enumerate(zip(questions, own, strict=True)):
        if rule:
            answers[i] = next((question.rules[r] for r in rule if r in question.rules), "")
            unknown[i] = not answers[i] or answers[i] in never
    return Guesses(answers=tuple(answers), unknown=tuple(unknown), applies=tuple(map(bool, own)))


def _tree_guesses(
    fitted: Sequence[QuestionInContext], questions: Sequence[QuestionInContext], majority: Guesses
) -> Guesses:
    """A tree a kind over which rule finds which answer, unknown answers among them."""
    answers = sorted({question.answer for question in fitted})
    number = {answer: i for i, answer in enumerate(answers)}
    said = torch.tensor([answer not in unknown_answers(fitted) for answer in answers])
    share = sum(question.unknown for question in fitted) / len(fitted)
    texts, unknown = list(majority.answers), list(majority.unknown)
    applies = [False] * len(questions)
    for kind in dict.fromkeys(question.kind for question in questions):
        own = [question for question in fitted if question.kind == kind]
        places = [i for i, question in enumerate(questions) if question.kind == kind]
        columns = _columns(own)
        if not columns:
            continue
        targets = torch.tensor([number[question.answer] for question in own])
        tree = fit_tree(_features(own, columns), targets, len(answers))
        shares = tree.shares_of(_features([questions[i] for i in places], columns))
        guesses = decided(shares, answers, said, share)
        for i, text, is_unknown in zip(places, guesses.answers, guesses.unknown, strict=True):
            texts[i], unknown[i], applies[i] = text, is_unknown, True
    return Guesses(answers=tuple(texts), unknown=tuple(unknown), applies=tuple(applies))


def _columns(questions: Sequence[QuestionInContext]) -> dict[tuple[str, str], int]:
    """Pairs of a rule and what it finds, numbered; rare ones could not part anything."""
    counts = Counter(pair for question in questions for pair in question.rules.items())
    return {pair: i for i, pair in enumerate(p for p, n in counts.items() if n >= FEWEST)}


def _features(
    questions: Sequence[QuestionInContext], columns: Mapping[tuple[str, str], int]
) -> Bool[Tensor, "question found"]:
    features = torch.zeros(len(questions), len(columns), dtype=torch.bool).numpy()
    for row, question in enumerate(questions):
        features[row, [columns[f] for f in question.rules.items() if f in columns]] = True
    return torch.from_numpy(features)


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A decision tree over flags.

    Attributes:
        flag: of each node the flag it asks for; -1 at a leaf.
        without: the node to go on with where the flag is false.
        having: the node to go on with where it is true.
        shares: share of each class among a node's examples.
    """

    flag: list[int]
    without: list[int]
    having: list[int]
    shares: Float[Tensor, "node answer"]

    def shares_of(self, flags: Bool[Tensor, "question found"]) -> Float[Tensor, "question answer"]:
        """Shares of the classes in the leaf that each example comes to."""
        flag, *children = map(torch.tensor, (self.flag, self.without, self.having))
        nodes = torch.zeros(len(flags), dtype=torch.long)
        while (inner := (flag[nodes] >= 0).nonzero()[:, 0]).numel():
            here = nodes[inner]
            nodes[inner] = torch.where(
                flags[inner, flag[here]], children[1][here], children[0][here]
            )
        return self.shares[nodes]


def fit_tree(
    flags: Bool[Tensor, "question found"], targets: Int[Tensor, " question"], n: int
) -> Tree:
    """Grow a tree leaf by leaf, each time where the Gini impurity falls most.

    Args:
        flags: of each example.
        targets: class of each example.
        n: how many classes.
    Source:
        Breiman et al. 1984, "Classification and Regression Trees".
    """
    values, classes = flags.float(), one_hot(targets, n).float()
    tree = Tree(flag=[-1], without=[-1], having=[-1], shares=classes)
    rows = [torch.arange(len(targets))]
    splits = [_best_split(values, classes)]
    while len(rows) < 2 * MOST_LEAVES - 1:
        node = max(range(len(rows)), key=lambda i: splits[i][0])
        gain, flag = splits[node]
        if gain <= 0:
            break
        has, splits[node] = flags[rows[node], flag], (0.0, -1)
        tree.flag[node], tree.without[node], tree.having[node] = flag, len(rows), len(rows) + 1
        for part in (rows[node][~has], rows[node][has]):
            rows.append(part)
            splits.append(_best_split(values[part], classes[part]))
            for links in (tree.flag, tree.without, tree.having):
                links.append(-1)
    shares = torch.stack([classes[part].mean(0) for part in rows])
    return Tree(flag=tree.flag, without=tree.without, having=tree.having, shares=shares)


def _best_split(
    values: Float[Tensor, "question found"], classes: Float[Tensor, "question answer"]
) -> tuple[float, int]:
    """How much the best flag lowers the summed impurity, and its number."""
    having = values.T @ classes
    total, n_having = classes.sum(0), having.sum(1)
    without, n_without = total - having, len(classes) - n_having
    # Gini impurity times n is n - sum of squares / n: what falls is the growth of the second part.
    purity = having.square().sum(1) / n_having + without.square().sum(1) / n_without
    gains = purity - total.square().sum() / len(classes)
    gains = torch.where(torch.minimum(n_having, n_without) >= FEWEST, gains, 0.0)
    best = int(gains.argmax())
    return float(gains[best]), best
