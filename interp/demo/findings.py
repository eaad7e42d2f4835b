"""Which instruments the demo points at its model, and with what: a section of the report each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interp.worlds import load_world
from interp.worlds.world import Question, Story, World

STORIES, INDUCTION = "stories-demo", "induction-demo"
VARIABLE, MOOD = "place", "happy"
ABILITIES = ("accuracy", "previous_token", "in_context")
COPYING = ("loss", "in_context", "induction", "previous_token")
SHORTCUT = "most_recent"
MOST_STORIES_LOOKED_AT = 200


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is computed. The numbers of the report name their n, so small ones show as such."""

    steps: int | None = None
    n_documents: int | None = None
    n_evaluated: int = 300
    n_fitted: int = 1500
    n_generated: int = 64
    n_eventful: int = 200
    n_probed: int = 1000
    n_prompts: int = 32
    n_random: int = 20
    n_texts: int = 16
    n_untrained: int = 3
    n_watched: int = 64
    n_checkpoints: int = 12
    n_read: int = 160
    n_read_steps: int = 6


FULL = Size()
QUICK = Size(
    steps=30,
    n_documents=200,
    n_evaluated=20,
    n_fitted=100,
    n_generated=4,
    n_eventful=12,
    n_probed=150,
    n_prompts=4,
    n_random=3,
    n_texts=4,
    n_untrained=1,
    n_watched=8,
    n_checkpoints=3,
    n_read=120,
    n_read_steps=3,
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A section of the report.

    Attributes:
        title: the question that it answers.
        comment: what to look at.
        instrument: name of the instrument that answers it.
        arguments: the instrument's arguments by name, without the model.
        run: name of the run whose model is asked.
    """

    title: str
    comment: str
    instrument: str
    arguments: Mapping[str, Any]
    run: str = STORIES

    @property
    def folder(self) -> str:
        """Name of the result's folder below `results/`, and of the stage."""
        return self.instrument if self.run == STORIES else f"{self.instrument}-{self.run}"


def findings(world: World, size: Size) -> list[Finding]:
    """Every section, in the order of the report; nothing is computed yet.

    Args:
        world: the world that the model was trained on.
        size: how much is computed.
    """
    story, question = first_telling_question(world)
    prompt, answer = story.text[: question.span[1]], _first_word(question.answer)
    return [
        *_of_the_training(world, size),
        *_of_the_whole_world(world, size),
        *_of_one_story(world, story.text, prompt, answer),
    ]


def _of_the_training(world: World, size: Size) -> list[Finding]:
    """What a run shows: the loss falls, abilities appear, a circuit forms, the map gets better."""
    return [
        Finding(
            title="Does it predict better as it learns?",
            comment="Training and held-out loss, beside the lowest loss that any model could have.",
            instrument="learning_curve",
            arguments={},
        ),
        Finding(
            title="Which abilities appear, and when?",
            comment="Change points with their intervals, beside a fresh model and flat noise.",
            instrument="emergence",
            arguments={"world": world, "measures": ABILITIES, "n_stories": size.n_watched},
        ),
        Finding(
            title="Does a circuit appear at once with what it is for?",
            comment="Two layers of attention learn to repeat random blocks; induction heads form.",
            instrument="checkpoint_metrics",
            arguments={
                "world": load_world("repeats"),
                "measures": COPYING,
                "most": 2 * size.n_checkpoints,
                "n_stories": size.n_watched,
            },
            run=INDUCTION,
        ),
        Finding(
            title="Which heads are these?",
            comment="Scores on random tokens said twice, and what the loss does without the head.",
            instrument="heads",
            arguments={"untrained": size.n_untrained},
            run=INDUCTION,
        ),
        Finding(
            title="Does it hold a more faithful map of its world as it predicts better?",
            comment="A dot is a checkpoint; the loss falls to the right, the colour is the step.",
            instrument="fidelity",
            arguments={
                "world": world,
                "variables": [VARIABLE, "holder"],
                "most": size.n_read_steps,
                "n_stories": size.n_read,
                "n_test": size.n_read // 2,
            },
        ),
    ]


def _of_the_whole_world(world: World, size: Size) -> list[Finding]:
    texts = [world.sample(number, split="held_out").text for number in range(size.n_texts)]
    return [
        Finding(
            title="Does it answer questions about stories that it never saw?",
            comment="Beside each kind of question stands what each shortcut would score.",
            instrument="comprehension",
            arguments={
                "world": world,
                "n_stories": size.n_evaluated,
                "n_fitted": size.n_fitted,
                "n_generated": size.n_generated,
                "n_eventful": size.n_eventful,
            },
        ),
        Finding(
            title=f"Where in the model can a person's {VARIABLE} be read?",
            comment="A probe counts only as far as it lies above its controls.",
            instrument="probe",
            arguments={
                "world": world,
                "variable": VARIABLE,
                "n_stories": size.n_probed,
                "n_untrained": size.n_untrained,
            },
        ),
        Finding(
            title=f"Can it be made to write '{MOOD}' more often, and at what price?",
            comment="Gain and damage against the dose, with a band of random directions.",
            instrument="steering",
            arguments={
                "concept": MOOD,
                "world": world,
                "n_prompts": size.n_prompts,
                "n_random": size.n_random,
                "n_random_prompts": min(8, size.n_prompts),
            },
        ),
        Finding(
            title="What does each attention head do?",
            comment="Scores on random tokens said twice, and what the loss does without the head.",
            instrument="heads",
            arguments={"texts": texts, "untrained": size.n_untrained},
        ),
    ]


def _of_one_story(world: World, text: str, prompt: str, answer: str) -> list[Finding]:
    return [
        Finding(
            title="At which layer does the answer to a question appear?",
            comment=f"The first held-out question that the last place does not answer: {prompt}",
            instrument="logit_lens",
            arguments={"prompt": prompt, "targets": [answer]},
        ),
        Finding(
            title="Where does each head look in the same story?",
            comment="Attention weights: where a head read, not why the model answered.",
            instrument="attention",
            arguments={"prompt": prompt},
        ),
        Finding(
            title="Which words of the story surprise it more than they must?",
            comment="Loss, the world's exact floor, and the difference, token by token.",
            instrument="surprise",
            arguments={"text": text, "world": world},
        ),
    ]


def first_telling_question(world: World) -> tuple[Story, Question]:
    """The first held-out question for a place that its shortcut would answer wrongly.

    Raises:
        LookupError: none in the first stories; then the world has no such question.
    """
    for number in range(MOST_STORIES_LOOKED_AT):
        story = world.sample(number, split="held_out")
        for question in story.questions:
            if _tells(question):
                return story, question
    raise LookupError(f"{world.name}: no question for a {VARIABLE} that {SHORTCUT} gets wrong")


def _tells(question: Question) -> bool:
    """Whether a right answer shows more than the shortcut: the place was said, and not last."""
    wrong = question.shortcuts.get(SHORTCUT) not in (None, question.answer)
    return question.kind == VARIABLE and wrong and "unknown" not in question.tags


def _first_word(answer: str) -> str:
    """The first word of an answer with its leading space, without the full stop."""
    return answer.rstrip(" .").partition(".")[0]
