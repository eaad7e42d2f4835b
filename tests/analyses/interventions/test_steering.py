"""Steering: dose 0 is the model itself, one batch is many runs, and gain is told from damage."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from interp.analyses.interventions._dose_response import (
    best_doses,
    check_rest,
    dose_response,
    read_sites,
)
from interp.analyses.interventions._logit_bias import logit_bias
from interp.analyses.interventions._steered_generation import (
    GeneratedRows,
    SteeredRows,
    added_by_row,
    generate_rows,
)
from interp.analyses.interventions._text_counts import (
    Ratio,
    repetition,
    text_ratios,
    word_counts,
    world_counts,
)
from interp.analyses.interventions.steering import Steering, steering
from interp.analyses.probing.concept import Concept, concept
from interp.core.edits import Add, Where
from interp.core.errors import ConfigError, ModelMismatchError, NotEnoughDataError, ReadoutError
from interp.core.statistics.association import spearman
from interp.core.statistics.intervals import Interval, bootstrap_mean
from interp.methods.activations import WRITES_ANSWER, nothing_reads
from interp.models.gpt import GPT
from tests.analyses.tiny_model import tiny_model
from tests.analyses.tiny_world import MOODS, TinyWorld

WORLD = TinyWorld()
QUICK = {"n_prompts": 16, "n_random_prompts": 6, "n_tokens": 24, "prompt_sentences": 1}


@pytest.fixture(scope="module")
def model() -> GPT:
    return tiny_model()


@pytest.fixture(scope="module")
def writes_glad(model: GPT) -> Concept:
    """What the last stream must hold for the next word to be 'glad' rather than its kin."""
    readable = concept(model, "glad", world=WORLD, at="stated", site=("resid_post", -1))
    ids = [model.tokenizer.encode(f" {mood}", bos=False)[0] for mood in MOODS]
    rows = model.weight("W_U").T[ids] * model.ln_final.weight
    direction = torch.nn.functional.normalize((rows[0] - rows[1:].mean(0)).detach(), dim=0)
    return replace(readable, direction=direction)


@pytest.fixture(scope="module")
def swept(model: GPT, writes_glad: Concept) -> Steering:
    return steering(model, writes_glad, WORLD, **QUICK)


def rows_at_doses(model: GPT, doses: list[float], temperature: float, seed: int = 3) -> SteeredRows:
    texts = [WORLD.sample(i).text.split(".")[0] + "." for i in range(4)]
    prompts = [model.tokenizer.encode(text) for text in [*texts[:3], texts[3].split()[0]]]
    vector = torch.randn(32, generator=torch.Generator().manual_seed(seed))
    vectors = vector.expand(4 * len(doses), -1)
    strengths = torch.tensor(doses).repeat_interleave(4)
    edit = added_by_row(("resid_post", 0), vectors, strengths, Where(), model.cfg.n_ctx)
    return SteeredRows(
        prompts=prompts * len(doses),
        seeds=[seed * 1_000_003 + i for i in range(4)] * len(doses),
        edits=[edit],
        sampling={"max_new_tokens": 20, "temperature": temperature},
    )


def edit_of(rows: SteeredRows, row: int) -> Add:
    """The edit of one row, as it would be made for that row alone."""
    (edit,) = rows.edits
    return Add(hook=edit.hook, vector=edit.vector[row, 0], scale=float(edit.scale[row]))


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_one_batch_of_doses_gives_the_tokens_of_a_loop(model: GPT, temperature: float) -> None:
    doses = [-1.0, 0.0, 0.5, 1.0]
    rows = rows_at_doses(model, doses, temperature)
    together = generate_rows(model, rows)
    for row, prompt in enumerate(rows.prompts):
        edits, seed = [edit_of(rows, row)], [rows.seeds[row]]
        alone = model.generate([prompt], edits=edits, seed=seed, **rows.sampling)
        assert together.tokens[row] == alone.tokens[0]


@pytest.mark.slow
def test_dose_zero_is_the_unsteered_model(model: GPT, swept: Steering) -> None:
    rows = rows_at_doses(model, [0.0, 1.0], 1.0)
    generated = generate_rows(model, rows)
    check_rest(model, rows, generated)
    moved = replace(generated, tokens=generated.tokens[::-1])
    with pytest.raises(ReadoutError, match="At dose 0"):
        check_rest(model, rows, moved)
    rest = swept.doses.index(0.0)
    assert swept.measures["kl_nats_per_token"][rest].value == 0.0


@pytest.mark.slow
def test_loss_and_kl_are_those_of_the_generated_tokens(model: GPT) -> None:
    rows = rows_at_doses(model, [0.8], 1.0)
    generated = generate_rows(model, rows)
    for row, new in enumerate(generated.tokens):
        prompt = rows.prompts[row]
        ids = torch.tensor([prompt + new])
        plain = model.run(ids).logits[0].log_softmax(-1)
        edited = model.run(ids, edits=[edit_of(rows, row)]).logits[0].log_softmax(-1)
        at = torch.arange(len(prompt) - 1, len(prompt) + len(new) - 1)
        loss = -plain[at, ids[0, at + 1]].sum()
        kl = (edited.exp() * (edited - plain))[at].sum()
        assert float(generated.loss_nats[row]) == pytest.approx(float(loss), rel=1e-4)
        assert float(generated.kl_nats[row]) == pytest.approx(float(kl), rel=1e-3)


@pytest.mark.slow
def test_a_direction_that_writes_the_word_steers(swept: Steering) -> None:
    rates = [interval.value for interval in swept.measures["rate"]]
    assert spearman(swept.doses, rates).value > 0.8, "the higher the dose, the more of the word"
    assert swept.best > swept.doses.index(0.0) and swept.gain.value > 0
    assert swept.measures["well_formed"][swept.best].value >= 0.9
    kl = [interval.value for interval in swept.measures["kl_nats_per_token"]]
    rest = swept.doses.index(0.0)
    assert kl[rest] == 0 and kl[-1] > kl[rest + 1] > 0
    assert "glad" in str(swept) and "median norm" in swept.caption()


@pytest.mark.slow
def test_the_random_band_starts_where_the_unsteered_model_is(swept: Steering) -> None:
    rest = swept.doses.index(0.0)
    for name, intervals in swept.measures.items():
        low, high = swept.band(name)
        assert float(low[rest]) == pytest.approx(intervals[rest].value, abs=1e-6)
        assert float(high[rest]) == pytest.approx(intervals[rest].value, abs=1e-6)


@pytest.mark.slow
def test_a_random_direction_is_not_called_steering(model: GPT, writes_glad: Concept) -> None:
    random = torch.randn(32, generator=torch.Generator().manual_seed(11))
    nothing = replace(writes_glad, direction=random / random.norm())
    result = steering(model, nothing, WORLD, **QUICK, n_random=6)
    assert not result.beats_random or result.p > 1 / 7 or result.gain.low <= 0.1


@pytest.mark.slow
def test_a_word_is_screened_on_other_prompts(model: GPT) -> None:
    options = {**QUICK, "n_random": 2, "doses": (0.5,)}
    result = steering(model, "glad", WORLD, **options, sites=[("resid_post", 0), ("resid_pre", 0)])
    ways = ("mean difference, asked", "mean difference, stated", "gradient, asked")
    tried = {f"{way}, {short} 0" for way in ways for short in ("resid_post", "resid_pre")}
    assert set(result.screened) == tried | {
        f"gradient, asked, {short} 0, where written" for short in ("resid_post", "resid_pre")
    }
    assert result.doses == (0.0, 0.5)


@pytest.mark.slow
def test_it_saves_draws_and_tells(swept: Steering, tmp_path: Path) -> None:
    again = Steering.load(swept.save(tmp_path / "steering"))
    assert again == swept
    table = swept.frame()
    assert set(table["measure"]) == set(swept.measures)
    assert len(table) == len(swept.doses) * len(swept.measures)
    titles = [axis.title.text for axis in swept.figure().select_xaxes()]
    assert all("median norm" in title for title in titles if title)


@pytest.mark.slow
def test_without_a_world_words_are_counted(model: GPT, writes_glad: Concept) -> None:
    prompts = ["Anna", "Ben sits in the den.", "Eve feels"]
    result = steering(
        model,
        replace(writes_glad, among=()),
        words=["glad"],
        prompts=prompts,
        doses=(0.5,),
        n_random=3,
        n_random_prompts=2,
        n_tokens=20,
    )
    assert result.prompts == tuple(prompts)
    assert 0 <= result.base.value < 0.5
    assert math.isnan(result.measures["well_formed"][0].value)


@pytest.mark.slow
def test_what_cannot_be_steered_is_refused(model: GPT, writes_glad: Concept) -> None:
    with pytest.raises(ModelMismatchError, match="found in, tiny"):
        steering(model.untrained(5), writes_glad, WORLD)
    with pytest.raises(ConfigError, match="words"):
        steering(model, writes_glad)
    with pytest.raises(ConfigError, match="Did you mean 'glad'"):
        steering(model, "gladd", WORLD)
    with pytest.raises(NotEnoughDataError, match="two or more"):
        steering(model, writes_glad, WORLD, n_prompts=1)


def test_marks_count_only_what_was_generated() -> None:
    prompt, text = "Anna sits in the den. Anna feels", " glad. Ben glad. Ben feels grim. Ben"
    counts = world_counts(WORLD, prompt, text, {"glad": ("glad", MOODS)})
    assert counts == {"glad": (1, 2), "well_formed": (2, 3), "consistent": (2, 2)}
    assert word_counts("Glad, gladly glad!", ["glad"]) == (2, 3)
    assert repetition([1, 2, 3, 1, 2, 3, 1]) == (2, 5)


def test_each_text_is_read_with_the_prompt_that_it_continues() -> None:
    """Rows run over doses, then directions, then prompts."""
    generated = GeneratedRows(
        tokens=[[1, 2, 3]] * 24,
        texts=[str(row) for row in range(24)],
        loss_nats=torch.arange(24.0),
        kl_nats=torch.zeros(24),
        lengths=torch.full((24,), 3),
    )

    def read(prompt: str, text: str) -> dict[str, tuple[int, int]]:
        return {"rate": (int(prompt), int(text))}

    ratios = text_ratios(generated, read, ["0", "1", "2", "3"], (2, 3, 4))
    assert ratios["rate"].part[1, 2].tolist() == [0, 1, 2, 3]
    assert ratios["rate"].whole[1, 0].tolist() == [12, 13, 14, 15]
    assert ratios["loss_nats_per_token"].value.shape == (2, 3)
    assert ratios["rate"].interval(1, 2, seed=0, trials=True).n == 4


DOSES = (-1.0, 0.0, 0.5, 1.0, 2.0)


def made_of(rates, band, well, loss, doses=DOSES) -> Steering:
    """A dose curve with these numbers; only what tells zones apart is filled in."""
    from interp.results.provenance import Provenance

    def intervals(values):
        return tuple(Interval(value=v, low=v, high=v, n=4) for v in values)

    zeros = [0.0] * len(doses)
    measures = {"rate": rates, "well_formed": well, "loss_nats_per_token": loss}
    measures |= {"consistent": zeros, "kl_nats_per_token": zeros, "repetition": zeros}
    return Steering(
        word="glad",
        among=(),
        method="pca",
        site=("resid_post", 0),
        direction=torch.ones(2),
        median_norm=1.0,
        where="",
        doses=doses,
        measures={name: intervals(values) for name, values in measures.items()},
        random={"rate": torch.tensor(band)},
        best=-1,
        gain=Interval(value=0.0, low=0.0, high=0.0, n=4),
        z=0.0,
        p=1.0,
        screened={},
        prompts=(),
        texts=(),
        provenance=Provenance(instrument="steering", model="m", model_hash="h"),
    )


BAND = [[0.2, 0.4], [0.3, 0.3], [0.2, 0.4], [0.2, 0.4], [0.1, 0.5]]


def test_zones_are_weak_within_the_band_useful_outside_and_break_with_the_text() -> None:
    result = made_of([0.3, 0.3, 0.35, 0.8, 0.9], BAND, [1, 1, 1, 1, 0.5], [0.5] * 5)
    zones = [(zone.kind, zone.low, zone.high) for zone in result.zones()]
    assert zones == [("weak", -1.0, 0.75), ("useful", 0.75, 1.5), ("breaks", 1.5, 2.0)]
    costly = made_of([0.3, 0.3, 0.8, 0.8, 0.9], BAND, [1] * 5, [0.5, 0.5, 0.5, 1.2, 1.2])
    assert [zone.kind for zone in costly.zones()] == ["weak", "useful", "breaks"]


def test_below_zero_useful_is_what_falls_under_the_band() -> None:
    less = made_of([0.1, 0.3, 0.3, 0.3, 0.3], BAND, [1] * 5, [0.5] * 5)
    first = less.zones()[0]
    assert (first.kind, first.low, first.high) == ("useful", -1.0, -0.5)
    more = made_of([0.9, 0.3, 0.1, 0.1, 0.0], BAND, [1] * 5, [0.5] * 5)
    assert [zone.kind for zone in more.zones()] == ["weak"], "it moves the wrong way"


def test_where_nothing_is_counted_no_dose_is_called_useful() -> None:
    nan = float("nan")
    unknown = made_of([nan] * 5, [[nan, nan]] * 5, [nan] * 5, [0.5, 0.5, 0.5, 0.6, 1.2])
    assert [zone.kind for zone in unknown.zones()] == ["weak", "breaks"]
    bad = made_of([0.3] * 5, BAND, [0.5] * 5, [0.5] * 5)
    assert [z.kind for z in bad.zones()] == ["weak"], "a model that never forms a sentence"


@pytest.mark.slow
def test_with_a_world_words_are_counted_and_sentences_read(
    model: GPT, writes_glad: Concept
) -> None:
    result = steering(
        model, replace(writes_glad, among=()), WORLD, words=["glad"], doses=(0.5,), **QUICK,
        n_random=2,
    )  # fmt: skip
    assert 0 < result.base.value < 0.5, "its share of all words, not of the moods"
    assert result.measures["well_formed"][0].value > 0.5


def ratios_of(draw: torch.Generator, n_directions: int, n_texts: int, world: bool) -> dict:
    """What random texts say: often nothing, often all the same, sometimes broken."""

    def tries(most: int) -> torch.Tensor:
        shape = (len(DOSES), n_directions, n_texts)
        return torch.randint(0, most + 1, shape, generator=draw).double()

    def hits(whole: torch.Tensor) -> torch.Tensor:
        share = torch.rand(whole.shape[0], generator=draw)[:, None, None]
        return (whole * (share > 0.3) * share).floor()

    wholes = {name: tries(4) for name in ("rate", "well_formed", "consistent", "repetition")}
    if not world:
        wholes |= {name: torch.zeros_like(wholes[name]) for name in ("well_formed", "consistent")}
    ratios = {name: Ratio(part=hits(whole), whole=whole) for name, whole in wholes.items()}
    lengths = tries(3)
    for name in ("loss_nats_per_token", "kl_nats_per_token"):
        ratios[name] = Ratio(part=lengths * torch.rand(1, generator=draw), whole=lengths)
    return ratios


@pytest.mark.parametrize("seed", range(60))
def test_what_is_printed_never_contradicts_the_numbers(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    world, n_random = seed % 2 == 0, (2, 19, 1, 5)[seed % 4]
    main, control = ratios_of(draw, 1, 4, world), ratios_of(draw, n_random, 3, world)
    if seed % 3 == 0:  # random directions that do nothing at all
        control["rate"].part.zero_()
    bias = None if seed % 5 == 0 else ratios_of(draw, 1, 4, world)
    result = replace(
        made_of([0.0] * 5, BAND, [0.0] * 5, [0.0] * 5),
        prompts=("a", "b", "c", "d"),
        **dose_response(main, control, bias, DOSES, seed),
    )
    told = f"{result.finding()} {result.caption()}"
    assert not {"nan", "inf", "nan%"} & set(told.replace(",", " ").replace("%", " ").split()), told
    assert world or "well formed" not in told
    if result.best >= 0:
        dose = result.doses[result.best]
        zones = [zone.kind for zone in result.zones() if zone.low < dose < zone.high]
        at_end = result.zones()[-1].kind
        assert "breaks" not in (zones or [at_end])
    beats = result.best >= 0 and result.p <= 0.05 and result.gain.low > 0
    assert result.beats_random == beats
    assert ("WARNING" in told or "cannot show it" in told) == (not beats)


def of_one_text(**values: list[float]) -> dict:
    """Ratios of one direction and one text: the values themselves."""
    ratios = {}
    for name, of_doses in values.items():
        part = torch.tensor(of_doses, dtype=torch.float64)[:, None, None]
        whole = torch.ones_like(part)
        ratios[name] = Ratio(part=part.nan_to_num(), whole=torch.where(part.isnan(), 0.0, whole))
    return ratios


NO_WORLD = {"well_formed": [math.nan] * 5, "consistent": [math.nan] * 5}


def test_without_a_world_the_text_holds_if_its_loss_and_repetition_do() -> None:
    rate = [0.0, 0.0, 0.1, 0.2, 0.3]
    whole = {"loss_nats_per_token": [1.8] * 5, "repetition": [0.05] * 5}
    assert best_doses(of_one_text(rate=rate, **NO_WORLD, **whole), DOSES) == [4]
    noise = whole | {"loss_nats_per_token": [1.8, 1.8, 1.9, 2.1, 1.8 + math.log(1.5) + 0.01]}
    assert best_doses(of_one_text(rate=rate, **NO_WORLD, **noise), DOSES) == [3]
    # The same word again and again is probable, so its loss says nothing.
    again = {"loss_nats_per_token": [1.8, 1.8, 1.2, 0.8, 0.3], "repetition": [0, 0.1, 0.1, 0.4, 1]}
    assert best_doses(of_one_text(rate=rate, **NO_WORLD, **again), DOSES) == [2]
    empty = whole | {"loss_nats_per_token": [1.8, 1.8, 1.8, 1.8, math.nan]}
    assert best_doses(of_one_text(rate=rate, **NO_WORLD, **empty), DOSES) == [3]


def test_a_dose_is_no_best_where_the_rate_without_it_is_not_known() -> None:
    rate = [0.0, math.nan, 0.5, 0.5, 0.5]
    whole = {"loss_nats_per_token": [1.8] * 5, "repetition": [0.0] * 5}
    assert best_doses(of_one_text(rate=rate, **NO_WORLD, **whole), DOSES) == [-1]


def test_the_exact_interval_counts_the_texts_that_mention_the_concept() -> None:
    part, whole = torch.zeros(48).double(), torch.zeros(48).double()
    part[:3] = whole[:3] = 1
    interval = Ratio(part=part, whole=whole).interval(seed=0, trials=True)
    assert (interval.value, interval.n) == (1.0, 3)
    assert interval.low == pytest.approx(0.025 ** (1 / 3))  # Clopper & Pearson, all of three


def test_the_verdict_names_what_is_missing() -> None:
    whole = made_of([0.0, 0.0, 0.1, 0.2, 0.3], [[0.0] * 19] * 5, [math.nan] * 5, [0.5] * 5)
    sure, unsure = (Interval(value=0.3, low=low, high=0.5, n=4) for low in (0.1, 0.0))
    steers = replace(whole, best=4, gain=sure, p=0.05, z=math.inf)
    assert steers.beats_random and "WARNING" not in steers.caption() and "z =" not in str(steers)
    assert "nothing reads sentences" in steers.caption()
    alike = replace(steers, p=0.4)
    assert not alike.beats_random and "40% of directions" in alike.caption()
    assert not replace(steers, gain=unsure).beats_random
    assert "the interval of the gain reaches 0" in replace(steers, gain=unsure).caption()
    few = replace(steers, p=0.2, random={"rate": torch.zeros(5, 4)})
    assert not few.beats_random and "n_random = 19" in few.caption()


def test_a_gain_in_which_all_texts_agree_is_not_certain() -> None:
    ratios = ratios_of(torch.Generator().manual_seed(1), 1, 4, False)
    whole = torch.zeros(5, 1, 4).double()
    whole[..., :2] = 1  # two of four texts mention the group
    part = whole * (torch.tensor(DOSES) > 0)[:, None, None]
    lengths = torch.full((5, 1, 4), 3.0).double()
    main = ratios | {
        "rate": Ratio(part=part, whole=whole),
        "loss_nats_per_token": Ratio(part=lengths, whole=lengths),
        "repetition": Ratio(part=0 * lengths, whole=lengths),
    }
    control = ratios_of(torch.Generator().manual_seed(2), 3, 4, False)
    fields = dose_response(main, control, None, DOSES, 0)
    gain, exact = fields["gain"], 0.025**0.5  # Clopper & Pearson: two of two
    assert gain.value == 1 and gain.low == pytest.approx(exact - (1 - exact))
    assert gain.high == pytest.approx(1.0)


def of_texts(part: list[float], whole: list[float]) -> Ratio:
    """Two doses, one direction: hits at the second, tries at both; one hit in each at the first."""
    parts, wholes = torch.tensor([[1.0] * len(part), part]), torch.tensor([whole, whole])
    return Ratio(part=parts.double()[:, None], whole=wholes.double()[:, None])


def test_the_ratio_of_rates_has_the_interval_of_paired_texts() -> None:
    ratio = of_texts([2.0, 1.0, 3.0, 2.0], [3.0] * 4)
    interval = ratio.quotient((1, 0), (0, 0), seed=0)
    # The base rate is 1/3 in every resample, so the quotient is that of the mean hits alone.
    means = bootstrap_mean([2.0, 1.0, 3.0, 2.0], seed=0)
    assert interval.value == pytest.approx(2.0)
    assert (interval.low, interval.high) == pytest.approx((means.low, means.high))
    ratio.part[0] = 0
    assert ratio.quotient((1, 0), (0, 0), seed=0).value == math.inf
    nothing = made_of([0.0] * 5, BAND, [1.0] * 5, [0.5] * 5)
    never = replace(nothing, best=3, ratio=ratio.quotient((1, 0), (0, 0), seed=0))
    assert "×" not in never.caption()


def test_a_direction_that_moves_one_word_is_told_so() -> None:
    gain = Interval(value=0.3, low=0.1, high=0.5, n=4)
    steers = replace(made_of([0.0] * 5, [[0.0] * 19] * 5, [1.0] * 5, [0.5] * 5), gain=gain)
    steers = replace(steers, best=4, p=0.05)
    assert not steers.moves_together and "expressions" not in steers.finding()
    whole = replace(steers, expressions={"mood": gain, "answer": gain})
    assert whole.moves_together and "WARNING" not in whole.caption()
    still = Interval(value=0.0, low=-0.1, high=0.1, n=4)
    word = replace(steers, expressions={"mood": gain, "answer": still})
    assert (
        not word.moves_together
        and "WARNING: 1 of 2 expressions is shown to move ('mood')" in word.caption()
    )


@pytest.mark.slow
def test_the_logit_bias_stands_beside_every_dose(model: GPT, swept: Steering) -> None:
    columns = model.weight("W_U")
    ids = [model.tokenizer.encode(f" {mood}", bos=False)[0] for mood in MOODS]
    direction = (columns[:, ids[0]] - columns[:, ids[1:]].mean(1)).detach()
    direction *= model.ln_final.weight.detach()
    glad = concept(model, "glad", world=WORLD, at="stated", site=("resid_post", -1))
    assert glad.written == tuple((i, i) for i in ids)  # "feels glad", "Feeling glad": one token
    push = logit_bias(model, glad, glad.among, (), [WORLD.sample(0).text])
    wanted = direction / direction.norm() * glad.median_norm
    torch.testing.assert_close(push.vector, wanted)
    assert push.site == ("resid_post", 1) and set(swept.bias) == set(swept.measures)
    assert all(len(intervals) == len(swept.doses) for intervals in swept.bias.values())
    assert swept.bias_gain.value > 0 and "logit bias" in str(swept)
    assert {"logit_bias", "logit_bias_low"} <= set(swept.frame())
    assert "logit bias of the word" in [trace.name for trace in swept.figure().data]
    rest = swept.doses.index(0.0)
    assert swept.bias["rate"][rest] == swept.measures["rate"][rest]


@pytest.mark.slow
def test_a_push_after_the_last_layer_is_said_to_write_the_answer(
    model: GPT, swept: Steering, writes_glad: Concept
) -> None:
    assert writes_glad.writes_answer and WRITES_ANSWER in writes_glad.caption()
    assert swept.writes_answer and WRITES_ANSWER in swept.caption()
    assert set(swept.expressions) == {"mood", "how"}
    early = concept(model, "glad", world=WORLD, at="stated", site=("resid_post", 0))
    assert not early.writes_answer and WRITES_ANSWER not in early.caption()


def test_the_search_offers_no_layer_after_which_nothing_reads() -> None:
    for n_layers, sites in ((1, [("resid_pre", 0)]), (3, [("resid_post", 0), ("resid_post", 1)])):
        assert read_sites(n_layers) == sites
        assert not any(nothing_reads(site, n_layers) for site in sites)
    assert nothing_reads(("resid_post", -1), 3) and nothing_reads(("mlp_out", 2), 3)
