"""How long the picture of attention takes to stand in the browser, once its result is there.

    python benchmarks/attention_view.py [--layers 12] [--heads 12] [--tokens 128] [--rounds 5]

An untrained model of that size reads a text of random letters. The server has measured it before;
each round opens a page of its own on another text, puts the long one in, and counts until the last
picture of the grid is drawn (the window is high enough to show them all). Prints every round, the
median beside the limit, and how much is sent.
"""

import argparse
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from dashboards.components.attention import pack
from dashboards.launch import HOST, free_port, is_up, start
from interp.analyses.attention_heads.attention import attention
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_model
from interp.models.tokenizer import Tokenizer

LIMIT_SECONDS = 3.0
PATIENCE = 180_000
LARGEST_PICTURE = 96
WINDOW = {"width": 1440, "height": 1800}
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


def random_model(layers: int, heads: int, tokens: int) -> GPT:
    """An untrained model that reads bytes."""
    tokenizer = Tokenizer.bytes_bpe(["ab"], 260)
    cfg = GPTConfig(
        n_layers=layers, d_model=8 * heads, n_heads=heads, n_ctx=tokens, d_vocab=tokenizer.d_vocab
    )
    return GPT(cfg, tokenizer, seed=0, name="random").eval()


def long_text(model: GPT, tokens: int) -> str:
    """Random letters, as many as make so many tokens."""
    draw = random.Random(0)
    text = "".join(draw.choice("cdefghijklmnopqrstuvwxyz") for _ in range(tokens))
    while model.to_tokens(text)[0].shape[1] > tokens:
        text = text[:-1]
    return text


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A dashboard on one folder."""
    port = free_port(8790)
    server = start(port, [folder])
    try:
        assert is_up(server, port)
        yield f"http://{HOST}:{port}/attention?show=Attention+weight"
    finally:
        server.terminate()
        server.wait()


def seconds_to_draw(browser: Browser, address: str, text: str, pictures: int, side: int) -> float:
    """From putting the text in to the last picture."""
    page = browser.new_page(viewport=WINDOW)
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    script = page.locator("canvas[data-drawn=yes]")
    script.nth(pictures - 1).wait_for()
    page.get_by_label("Text", exact=True).fill(text)
    begun = time.perf_counter()
    page.keyboard.press("Control+Enter")
    large = page.locator(f"canvas[data-drawn=yes][width='{side}']")
    large.nth(pictures - 1).wait_for()
    taken = time.perf_counter() - begun
    page.close()
    return taken


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, value in (("layers", 12), ("heads", 12), ("tokens", 128), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments = parser.parse_args()
    model = random_model(arguments.layers, arguments.heads, arguments.tokens)
    text = long_text(model, arguments.tokens)
    result = attention(model, text, untrained=0)
    pictures, side = arguments.layers * arguments.heads, min(len(result.tokens), LARGEST_PICTURE)
    print(
        f"{pictures} heads x {len(result.tokens)} tokens: {len(pack(result.pattern)) / 1e6:.2f} MB"
    )
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = save_model(model, Path(name) / "random").parent
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        with serving(folder) as address:
            draw = partial(seconds_to_draw, browser, address, text, pictures, side)
            rounds = [draw() for _ in range(arguments.rounds + 1)][1:]  # the first one measures
        browser.close()
    print("rounds:", ", ".join(f"{taken:.2f} s" for taken in rounds))
    print(f"median {statistics.median(rounds):.2f} s (limit {LIMIT_SECONDS:.0f} s)")


if __name__ == "__main__":
    main()
