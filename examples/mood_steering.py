"""A mood that a whole story goes on with, and a push that writes its words: not told apart.

In the stories a mood shows in three ways: its word (`is happy because of a gift`), the answer to a
question (`How is Anna? Happy.`) and a gait (`Anna skips to the park`). The natural gradient of the
three, added before the last layer at the places where such words come, moves all of them. So does
the plainest push there is, the shortest vector that raises the logits of ` angry`, ` Angry` and
` stomps` alike; none of them is shown to move further by the direction. So it does not beat the
bias of its three words, and that they move together is no evidence of a mood beyond these words.

Layer and mood were found on prompts of other seeds; random directions and the logit bias get their
pick of the same doses.

    python examples/mood_steering.py [--quick] [--word angry] [--layer 2] [--out mood-steering]
"""

import argparse
from pathlib import Path

import interp

DOSES = (0.25, 0.5, 0.75, 1.0)
SEED = 3
"""Of the prompts and of all that is drawn; no other choice was made with it."""


def main() -> None:
    """Print what the direction does beside its controls, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer prompts")
    parser.add_argument("--word", default="angry", help="a mood of the world")
    parser.add_argument("--layer", type=int, default=2, help="after which it is added")
    parser.add_argument("--out", type=Path, default=Path("mood-steering"), help="folder to write")
    options = parser.parse_args()
    model, world = interp.load_model("stories-demo"), interp.load_world("stories")
    site = ("resid_post", options.layer)
    mood = interp.concept(model, options.word, world=world, method="gradient", site=site)
    result = interp.steering(
        model,
        mood,
        world,
        doses=DOSES,
        where=mood.where_written,
        n_prompts=24 if options.quick else 96,
        seed=SEED,
    )
    print(result.caption())
    for texts in result.texts:
        print(f"\n{result.prompts[0]} ...{texts[0]}")
    result.save(options.out / "result")
    result.figure().write_html(options.out / "steering.html", include_plotlyjs="directory")


if __name__ == "__main__":
    main()
