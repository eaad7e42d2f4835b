"""What a model writes while it learns: a text every few seconds, in the run's `samples.jsonl`."""

import time
from pathlib import Path

from interp.models.gpt import GPT
from interp.models.no_tokenizer import NoTokenizer
from interp.runs.metrics import read_metrics
from interp.training.loop.metrics import MetricsLog

N_TOKENS = 40
EVERY_SECONDS = 3.0
SHARE = 0.015
"""Largest share of the training time that goes into samples: a slow model writes less often."""
TEMPERATURE = 0.8


class SampleLog:
    """Lets a model write from the beginning-of-text token on; for `train(..., watch=this)`.

    It draws with a random state of its own and no dropout, so the weights end as they would have.
    The same draws every time: what changes from text to text is the model alone.

    Args:
        path: the file to write, one JSON object a line: `kind`, `step`, `seed`, `text`.
        seed: seed of the sampling.
    """

    def __init__(self, path: Path, seed: int = 0) -> None:
        self.log, self.seed = MetricsLog(path), seed
        self._last: int | None = None
        self._not_before = 0.0

    def __call__(self, model: GPT, step: int) -> None:
        """Write a text if it is time to."""
        if self._last is None:
            self._begin(step)
        if step == 0 or time.monotonic() >= self._not_before:
            self.add(model, step)

    def add(self, model: GPT, step: int) -> None:
        """Write a text now, unless there is one of this step."""
        if step == self._last or isinstance(model.tokenizer, NoTokenizer):
            return
        began = time.monotonic()
        options = dict(max_new_tokens=min(N_TOKENS, model.cfg.n_ctx - 1), temperature=TEMPERATURE)
        prompt = [[model.tokenizer.bos_token_id or 0]]
        text = model.generate(prompt, **options, seed=self.seed).texts[0]
        self.log.append([{"kind": "sample", "step": step, "seed": self.seed, "text": text}])
        now = time.monotonic()
        self._last, self._not_before = step, now + max(EVERY_SECONDS, (now - began) / SHARE)

    def _begin(self, step: int) -> None:
        """Forget what was written after the step that the run resumes from."""
        self.log.cut_back(step)
        known = read_metrics(self.log.path)
        self._last = known[-1]["step"] if known else -1
