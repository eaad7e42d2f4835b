"""The picture of the README: a report of two findings, photographed by a headless Chromium.

python examples/readme_picture.py docs/pictures/report.png
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import interp
from interp.demo.findings import first_telling_question

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1200, 900


def write_report(path: Path) -> None:
    """A page on the shipped model: one probe, one lens."""
    model, world = interp.load_model("stories-demo"), interp.load_world("stories")
    story, question = first_telling_question(world)
    report = interp.Report("What a small model learned from stories")
    report.add(
        interp.probe(model, world, "place", n_stories=600),
        title="Where in the model can a person's place be read?",
    )
    report.add(
        interp.logit_lens(model, story.text[: question.span[1]]),
        title="At which layer does an answer appear?",
    )
    report.save(path)


def photograph(page: Path, picture: Path) -> None:
    """The page's first screens as PNG; asks nothing of any host."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("A Chromium was needed; none was found. On Debian: apt-get install chromium")
    picture.parent.mkdir(parents=True, exist_ok=True)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    options += [f"--window-size={WIDTH},{HEIGHT}", "--virtual-time-budget=8000"]
    command = [browser, *options, f"--screenshot={picture.resolve()}", page.as_uri()]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, timeout=300)


def main() -> None:
    """Write the page, photograph it."""
    picture = Path(sys.argv[1] if len(sys.argv) > 1 else "report.png")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder).resolve() / "report.html"
        write_report(page)
        photograph(page, picture)
    print(picture)


if __name__ == "__main__":
    main()
