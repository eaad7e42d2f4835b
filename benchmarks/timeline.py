"""CPU seconds of a run's whole timeline, and frames a second of the slider in Chromium.

    python benchmarks/timeline.py RUN [--world stories] [--checkpoints 20] [--no-browser]

The first pass forgets what was measured and keeps nothing beside the run; the second finds all of
it in memory. Then the page with the slider is opened and played, and every frame is counted.
"""

import argparse
import shutil
import time
from pathlib import Path

import torch

import interp
from dashboards.launch import HOST, free_port, is_up, start
from interp.methods.checkpoints import measure_cache
from interp.methods.measures import measure_names

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
SECONDS_PLAYED = 5
COUNT = """async (seconds) => {
  const whole = [...document.querySelectorAll("*")].map((e) => e.shadowRoot ?? e)
    .map((e) => e.querySelector?.("[data-frames]")).find(Boolean);
  const play = whole.querySelector("button.play");
  play.click();
  const begin = Number(whole.dataset.frames);
  const times = [];
  const stop = performance.now() + 1000 * seconds;
  let last = begin;
  while (performance.now() < stop) {
    await new Promise((go) => requestAnimationFrame(go));
    const now = Number(whole.dataset.frames);
    if (now !== last) times.push(performance.now());
    last = now;
  }
  const gaps = times.slice(1).map((t, i) => t - times[i]).sort((a, b) => a - b);
  return [(last - begin) / seconds, gaps[Math.floor(0.95 * gaps.length)] ?? Infinity];
}"""


def seconds_of(run: str, world: str, n: int) -> None:
    """Print the CPU seconds of a first and of a second look."""
    torch.set_num_threads(1)
    model = interp.load_model(run)
    folder = Path(run)
    measure_cache.LOCK = measure_cache.FOLDER = (
        "no such"  # neither read nor keep anything beside the run
    )
    for what in ("measured", "known"):
        if what == "measured":
            measure_cache.forget()
        began = time.process_time()
        seconds = interp.checkpoint_metrics(
            model, interp.load_world(world), steps=tuple(model.history)[-n:]
        )
        spent = time.process_time() - began
        print(
            f"{what:<10} {len(seconds.steps)} checkpoints of {folder.name}, {len(seconds.curves)} "
            f"curves of {len(set(seconds.measures))} measures of {len(measure_names())}: "
            f"{spent:.1f} s of CPU (<= 60)"
        )


def frames_of(run: str) -> None:
    """Print frames a second while the slider plays in a headless Chromium without a GPU."""
    from playwright.sync_api import sync_playwright

    port = free_port(8900)
    server = start(port, [Path(run)])
    try:
        if not is_up(server, port):
            raise SystemExit("the dashboard did not start")
        with sync_playwright() as playwright:
            chromium = shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
            page = browser.new_page(viewport={"width": 1440, "height": 1000})
            page.set_default_timeout(300_000)
            page.goto(f"http://{HOST}:{port}/checkpoint_metrics")
            page.locator("input[type=range][aria-label^='Training step']").wait_for()
            page.wait_for_timeout(2000)
            rate, slow = page.evaluate(COUNT, SECONDS_PLAYED)
            print(f"slider     {rate:.0f} frames/s (>= 10), 95 % of the gaps below {slow:.0f} ms")
            browser.close()
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--world", default="stories")
    parser.add_argument("--checkpoints", type=int, default=20)
    parser.add_argument("--no-browser", action="store_true")
    arguments = parser.parse_args()
    seconds_of(arguments.run, arguments.world, arguments.checkpoints)
    if not arguments.no_browser:
        frames_of(arguments.run)


if __name__ == "__main__":
    main()
