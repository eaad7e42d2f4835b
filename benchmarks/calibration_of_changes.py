"""Verdicts on what edits, parts and answers do, for the table of `calibration.py`.

What is planted are tables of answers and counts; and, for heads, a tiny model that was never
trained, or one with an induction head whose weights are written by hand.
"""

from functools import cache

import torch
from torch import Tensor

from benchmarks.calibration_table import generator_of, planted_provenance, verdict
from interp.analyses.attention_heads.heads import SCORES, Heads, heads
from interp.analyses.behavior.comprehension import Answers, score, shortcut_guesses
from interp.analyses.interventions.component_scaling import component_scaling
from interp.analyses.interventions.state_edit import StateEdit
from interp.analyses.interventions.steering import DOSES, Steering, dose_response
from interp.analyses.interventions.steering_metrics import Ratio
from interp.core.statistics.intervals import UNKNOWN, Interval, mean_interval, rate
from interp.methods.data.questions import QuestionInContext
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer

SIZES = {"untrained": 1, "other_variable": 1, "other_entity": 1, "unedited": 1, "random": 3}
"""Answers a question, by control of `state_edit`."""
PROMPTS, RANDOM_PROMPTS, N_RANDOM, MENTIONS, SENTENCES = 48, 12, 20, 4, 5
"""`steering`'s own numbers of prompts and directions; mentions and sentences in each text."""
N_QUESTIONS, SHORTCUT = 4000, 0.6
VOCABULARY, COPY, UNTRAINED = 24, 8, 5


@verdict(
    "state_edit", "succeeds more often than every control", 200, promised=0.025,
    often=("300 questions; nothing: all succeed in 30 %; planted: in half", 300, 0.3),
    few=("20 questions; nothing: all succeed in 5 %", 20, 0.05),
    never=("300 questions; nothing: none ever succeeds", 300, 0.0),
)  # fmt: skip
def edited_answers(n: int, chance: float, planted: bool, seed: int) -> bool:
    """Answers that become the new value by chance, with the edit as under every control."""
    generator = generator_of(planted, seed)

    def succeeded(chance: float, times: int = 1) -> Interval:
        flags = torch.rand(n * times, generator=generator) < chance
        return rate(flags, list(range(n)) * times, seed=seed)

    success = succeeded(0.5 if planted else chance)
    controls = {name: succeeded(chance, times) for name, times in SIZES.items()}
    return StateEdit(
        variable="state", other="other", classes=("a", "b"), sites=("embedding",),
        positions=("named",), grid=torch.zeros(1, 1), site=("resid_pre", 0), position="named",
        dose=1.0, success=success, controls=controls, known=UNKNOWN, later=UNKNOWN,
        later_unedited=UNKNOWN, means=torch.zeros(2, 1), length=1.0, n_train=0, n_tune=0,
        provenance=planted_provenance("state_edit"),
    ).beats_controls  # fmt: skip


@cache
def _steered(planted: bool, seed: int) -> Steering:
    """Directions that all change a rate in their own way; or one that does so far more.

    The logarithm of the rate's odds is a straight line in the dose, with a normal slope.
    """
    generator = generator_of(planted, seed)
    slopes = torch.randn(1 + N_RANDOM, generator=generator)
    slopes[0] = 4.0 if planted else slopes[0]
    main = _counted(slopes[:1], PROMPTS, generator)
    control = _counted(slopes[1:], RANDOM_PROMPTS, generator)
    return Steering(
        word="word", among=("word", "kin"), method="probe", site=("resid_pre", 0),
        direction=torch.ones(1), median_norm=1.0, where="", doses=DOSES, screened={},
        prompts=("",) * PROMPTS, texts=(), provenance=planted_provenance("steering"),
        **dose_response(main, control, None, DOSES, seed),
    )  # fmt: skip


def _counted(slopes: Tensor, n_texts: int, generator: torch.Generator) -> dict[str, Ratio]:
    """Counts in texts at each dose of each direction; health is that of the unsteered text."""
    shape = (len(DOSES), len(slopes), n_texts)
    # Prompts differ, whatever is done to them: some speak of the word sooner.
    odds = torch.tensor(DOSES)[:, None, None] * slopes[:, None] - 1
    odds = odds + 0.5 * torch.randn(n_texts, generator=generator)
    trials = torch.rand(*shape, MENTIONS, generator=generator) < odds.sigmoid()[..., None]

    def whole(part: Tensor, tries: int) -> Ratio:
        return Ratio(part=part.double(), whole=torch.full(shape, float(tries)).double())

    every, none = torch.full(shape, SENTENCES), torch.zeros(shape)
    health = {name: whole(every, SENTENCES) for name in ("well_formed", "consistent")}
    health |= {name: whole(none, SENTENCES) for name in ("repetition", "kl_nats_per_token")}
    health["loss_nats_per_token"] = whole(every, SENTENCES)
    return {"rate": whole(trials.sum(-1), MENTIONS), **health}


@verdict(
    "steering", "better than random directions", 200,
    same=(f"{PROMPTS} prompts, {N_RANDOM} random directions; nothing: its slope is one of theirs",),
)  # fmt: skip
def steers(planted: bool, seed: int) -> bool:
    """A direction that is like the random ones; or one with four standard deviations."""
    return _steered(planted, seed).beats_random


@verdict(
    "steering", "the rate leaves the band of random directions", 200, promised=1 / (N_RANDOM + 1),
    one=("the same directions, at the one dose of 1", (1.0,)),
)  # fmt: skip
def leaves_band(doses: tuple[float, ...], planted: bool, seed: int) -> bool:
    """The same directions; the text never breaks, so that a dose is useful or weak."""
    zones = [zone for zone in _steered(planted, seed).zones() if zone.kind == "useful"]
    return any(zone.low <= dose <= zone.high for zone in zones for dose in doses if dose)


verdict(
    "steering", "the rate leaves the band of random directions", 200, promised=1 / (N_RANDOM + 1),
    is_planted=False, is_kept=False, any=("at any of 10 doses", DOSES),
)(leaves_band)  # fmt: skip


@verdict(
    "comprehension", "safe: ten points above the best shortcut, for sure above", 400,
    promised=0.025,
    few=("20 questions; nothing: the model is as good as the best shortcut", 20),
    fifty=("50 questions; planted: 25 points better", 50), hundred=("100 questions", 100),
    many=("400 questions", 400),
)  # fmt: skip
def safe(n: int, planted: bool, seed: int) -> bool:
    """A model that is right as often as a shortcut, in other questions."""
    generator = generator_of(planted, seed)
    questions, guesses = _questions()
    numbers = torch.randperm(N_QUESTIONS, generator=generator)[:n].tolist()
    chance = SHORTCUT + 0.25 * planted
    right = torch.rand(N_QUESTIONS, generator=generator) < chance
    model = Answers(right=right, unknown=torch.zeros(N_QUESTIONS, dtype=torch.bool))
    [row] = score({"place": numbers}, questions, model, guesses, {}, "held_out", seed)
    return row.safe


@cache
def _questions() -> tuple[list[QuestionInContext], dict]:
    """Questions of one kind, a story each, and what the shortcuts answer.

    The world's own shortcut is right in 60 %, those that are fitted in a quarter: by chance.
    """
    generator = torch.Generator().manual_seed(0)
    places = ("cellar", "garden", "kitchen", "yard")
    answers = torch.randint(4, (N_QUESTIONS,), generator=generator)
    others = (answers + torch.randint(1, 4, answers.shape, generator=generator)) % 4
    knows = torch.rand(N_QUESTIONS, generator=generator) < SHORTCUT
    words = torch.randint(50, (N_QUESTIONS, 8), generator=generator).tolist()
    questions = [
        QuestionInContext(
            story=i, start=0, before=tuple(f"w{w}" for w in words[i]), words=("Where", "?"),
            kind="place", answer=places[answers[i]], unknown=False,
            guesses={"most_recent": places[answers[i] if knows[i] else others[i]]}, tags=(),
        )
        for i in range(N_QUESTIONS)
    ]  # fmt: skip
    return questions, shortcut_guesses(questions[:100], questions, 0)


@verdict(
    "heads", "a head is an induction head", 40, promised=0.025,
    model=("an untrained model of 2 heads; planted: one with an induction head by hand",),
)  # fmt: skip
def induction(planted: bool, seed: int) -> bool:
    """A model that was never trained; or one in which a head's weights are written."""
    model = _attention_model(seed)
    if planted:
        _write_induction(model)
    made = heads(model, n_sequences=8, length=COPY, ablation="none", untrained=UNTRAINED, seed=seed)
    return _is_induction(made)


@verdict(
    "heads", "a head is an induction head", 200, promised=1 / (UNTRAINED + 1),
    table=(f"8 heads, {UNTRAINED} untrained models; nothing: all heads' scores are of 0.2 to 0.5",),
)  # fmt: skip
def induction_scores(planted: bool, seed: int) -> bool:
    """Scores that are as high in untrained models; or one head's that is higher."""
    generator = generator_of(planted, seed)
    levels = 0.2 + 0.3 * torch.rand(1 + UNTRAINED, 8, generator=generator)
    levels[0, 0] = 0.7 if planted else levels[0, 0]
    rows = levels[0] + 0.1 * torch.randn(32, 8, generator=generator)
    bounds = [mean_interval(column, seed=seed) for column in rows.T]
    scores = torch.zeros(len(SCORES), 2, 4, 3)
    scores[SCORES.index("induction")] = torch.tensor(
        [(each.value, each.low, each.high) for each in bounds]
    ).reshape(2, 4, 3)
    untrained = torch.zeros(UNTRAINED, len(SCORES), 2, 4)
    untrained[:, SCORES.index("induction")] = levels[1:].reshape(-1, 2, 4)
    made = Heads(
        scores=scores, untrained=untrained, ablation=torch.zeros(0, 2, 4, 3), ablated_on=(),
        clean_loss=(), kind="none", copy_length=32, n_sequences=32,
        provenance=planted_provenance("heads"),
    )  # fmt: skip
    return _is_induction(made)


def _is_induction(made: Heads) -> bool:
    return "no head is an induction head" not in made.finding()


def _attention_model(seed: int) -> GPT:
    """Two heads, one a layer, with room for a token, a place and a token's token before."""
    tokenizer = Tokenizer.words([" ".join(f"w{i}" for i in range(VOCABULARY))])
    n_ctx = 1 + 2 * COPY
    config = GPTConfig(
        n_layers=2, d_model=2 * tokenizer.d_vocab + n_ctx, n_heads=1, d_head=tokenizer.d_vocab,
        d_vocab=tokenizer.d_vocab, n_ctx=n_ctx, norm="none", attn_only=True, tied=False,
        bias=False, init_std=None, embed_std=1.0,
    )  # fmt: skip
    return GPT(config, tokenizer, seed=seed).eval()


@torch.no_grad()
def _write_induction(model: GPT) -> None:
    """Layer 0 copies the token before; layer 1 attends to where that is the token it stands on."""
    size, n_ctx = model.cfg.d_vocab, model.cfg.n_ctx
    token, place, before = torch.eye(model.cfg.d_model).split([size, n_ctx, size])
    one_place = torch.eye(n_ctx, size)
    model.weight("W_E").copy_(token)
    model.weight("W_pos").copy_(place)
    # A key of each place, a query of the next one; ten times each outweighs the root of the width.
    model.weight(("W_Q", 0))[0].copy_(10 * place[1:].T @ one_place[:-1])
    model.weight(("W_K", 0))[0].copy_(10 * place.T @ one_place)
    model.weight(("W_V", 0))[0].copy_(token.T)
    model.weight(("W_O", 0))[0].copy_(before)
    model.weight(("W_Q", 1))[0].copy_(10 * token.T)
    model.weight(("W_K", 1))[0].copy_(10 * before.T)


@verdict(
    "component_scaling", "KL above all of 8 random parts", 100, promised=1 / 9,
    neurons=("a neuron of 32; nothing: one at random; planted: it writes 30 times more", "neuron"),
)  # fmt: skip
def part_moves(kind: str, planted: bool, seed: int) -> bool:
    """A part that is drawn at random; or one that writes 30 times as much."""
    generator = generator_of(planted, seed)
    model = _random_model(seed)
    count = model.cfg.n_heads if kind == "head" else model.cfg.d_mlp
    layer, number = (int(torch.randint(n, (), generator=generator)) for n in (2, count))
    if planted:
        with torch.no_grad():
            model.weight(("W_O" if kind == "head" else "W_out", layer))[number] *= 30
    prompt = " ".join(f"w{i}" for i in torch.randperm(VOCABULARY, generator=generator)[:6] if i)
    made = component_scaling(
        model, f"w0 {prompt}", turns=[f"{kind} {layer}.{number} * 0"], seed=seed
    )
    return made.kl_nats > max(made.random_kl)


verdict(
    "component_scaling", "KL above all of 8 random parts", 300, promised=1 / 9, is_kept=False,
    is_planted=False, heads=("a head of 4: 8 draws of the 3 others", "head"),
)(part_moves)  # fmt: skip


def _random_model(seed: int) -> GPT:
    tokenizer = Tokenizer.words([" ".join(f"w{i}" for i in range(VOCABULARY))])
    config = GPTConfig(
        n_layers=2, d_model=16, n_heads=2, d_vocab=tokenizer.d_vocab, n_ctx=8, d_mlp=32,
        init_std=None, embed_std=1.0, head_std=0.5, tied=False,
    )  # fmt: skip
    return GPT(config, tokenizer, seed=seed).eval()


@verdict(
    "tuned_lens", "the gain's interval lies above 0", 400, promised=0.025,
    fifty=("50 held-out documents; planted: one standard deviation", 50),
    twenty=("20 held-out documents", 20),
)  # fmt: skip
def lens_gain(n: int, planted: bool, seed: int) -> bool:
    """Gains of documents around 0; or around one standard deviation."""
    generator = generator_of(planted, seed)
    gains = torch.randn(n, 1, generator=generator) + planted
    gains = gains + torch.randn(n, 20, generator=generator)
    owners = torch.arange(n).repeat_interleave(20).tolist()
    return mean_interval(gains.flatten(), owners, seed).low > 0


verdict(
    "tuned_lens", "the gain's interval lies above 0", 400, promised=0.025, is_kept=False,
    two=("2 held-out documents, as of 5 texts", 2), five=("5 held-out documents", 5),
)(lens_gain)  # fmt: skip
