"""What all models here do alike, whatever computes their passes: take prompts, run, generate."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from interp.core.edits import Edit
from interp.core.hooks import Names
from interp.core.precision import check_edited, check_finite
from interp.core.protocols import Generation, ModelConfig, Prompt, Run, Step, Tokenizer
from interp.models import prompts
from interp.models.generation import Continue, Sampler
from interp.models.no_tokenizer import NoTokenizer
from interp.models.sampling import Sampling
from interp.models.taps import RunTap
from interp.models.tokenizer import Tokenizer as OwnTokenizer


class BaseModel:
    """A `LanguageModel`, once it says how to make one pass (`_pass`) and the next logits."""

    cfg: ModelConfig
    name: str
    hook_names: tuple[str, ...]
    device: torch.device

    @property
    def tokenizer(self) -> Tokenizer:
        """Text to ids and back; `NoTokenizer` for a model that was given none."""
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, given: Tokenizer | None) -> None:
        if given is None:
            given = NoTokenizer(self.cfg.d_vocab)
        elif isinstance(given, OwnTokenizer) and given.d_vocab < self.cfg.d_vocab:
            given = given.padded(self.cfg.d_vocab)
        self._tokenizer = given

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end a text: all that the model's or its tokenizer's files name."""
        return frozenset(self.cfg.eos_token_ids) | frozenset(self.tokenizer.eos_token_ids)

    def to_tokens(self, prompt: Prompt) -> tuple[Tensor, Tensor]:
        """`tokens` and `mask` (batch pos); rows of different length are padded on the left."""
        return prompts.to_tokens(prompt, self.tokenizer, self.cfg, self.device)

    def run(
        self,
        tokens: Prompt,
        *,
        cache: Names = (),
        edits: Sequence[Edit] = (),
        grad: bool = False,
        mask: Tensor | None = None,
        prompt_lengths: Sequence[int] | None = None,
        logits: bool = True,
    ) -> Run:
        """One forward pass without dropout; see `LanguageModel.run`."""
        ids, real = prompts.with_mask(self.to_tokens(tokens), mask, self.cfg.n_ctx)
        with self._naming():
            tap = RunTap.of(self.hook_names, cache, edits, ids, real, prompt_lengths, grad)
        with torch.set_grad_enabled(grad):
            scores = self._pass(ids, real, tap, logits)
        if tap is not None:
            check_edited(self.name, tap.largest)
        check_finite(self.name, scores, tap.cache if tap else {}, real)
        return Run(tokens=ids, mask=real, logits=scores, cache=tap.cache if tap else {})

    def generate(
        self, prompt: Prompt, *, edits: Sequence[Edit] = (), use_cache: bool = True, **options: Any
    ) -> Generation:
        """Continue each row; options as in `LanguageModel.generate`."""
        return self._sampler(prompt, edits, use_cache, options).finish()

    def stream(
        self, prompt: Prompt, *, edits: Sequence[Edit] = (), use_cache: bool = True, **options: Any
    ) -> Iterator[list[Step | None]]:
        """As `generate`, but yields after each token: a `Step` a row, None for rows that ended."""
        return self._sampler(prompt, edits, use_cache, options).steps()

    def _sampler(
        self, prompt: Prompt, edits: Sequence[Edit], use_cache: bool, options: dict[str, Any]
    ) -> Sampler:
        sampling = Sampling(**options)
        tokens, mask = self.to_tokens(prompt)
        prompts.with_mask((tokens, mask), None if bool(mask.all()) else mask, self.cfg.n_ctx)
        with self._naming():
            decoder = self._decoder(mask, edits, use_cache, sampling)
        ends, n_ctx = self.ends, self.cfg.n_ctx
        return Sampler(decoder, tokens, mask, self.tokenizer, ends, n_ctx, sampling, list(edits))

    def _naming(self) -> AbstractContextManager[None]:
        """Round every look-up of hook points, for whoever has something to add to a refusal."""
        return nullcontext()

    def _pass(
        self, tokens: Tensor, real: Tensor, tap: RunTap | None, logits: bool
    ) -> Tensor | None:
        """The logits of one pass, or None where they are not asked for."""
        raise NotImplementedError

    def _decoder(
        self, mask: Tensor, edits: Sequence[Edit], use_cache: bool, sampling: Sampling
    ) -> Continue:
        """What gives the next logits."""
        raise NotImplementedError
