"""Builds vocabularies with Hugging Face's `tokenizers`; knows nothing of models or corpora."""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from interp.core.errors import ConfigError, NotEnoughDataError

BOS = "<|bos|>"
PIECES = {"words": r" ?\w+| ?[^\w\s]|\s", "characters": r"(?m)."}
"""What is one token of a vocabulary that lists all it knows; a word has the space before it."""

_UNLIMITED = 2**31
_SMALLEST_BPE = 1 + 256
LONGEST_WORD = 1_000
"""Letters; merges are counted in no longer piece, since each costs a pass over its whole word."""


def bytes_bpe_vocabulary(texts: Iterable[str], d_vocab: int) -> Tokenizer:
    """The 256 bytes, then the merges that shorten the texts most, up to `d_vocab` tokens.

    Raises:
        ConfigError: `d_vocab` leaves no room for every byte.
    """
    if d_vocab < _SMALLEST_BPE:
        raise ConfigError(
            f"A byte-level vocabulary needs at least {_SMALLEST_BPE} tokens (256 bytes and {BOS}); "
            f"got {d_vocab}. Ask for more, or take characters or words."
        )
    backend = Tokenizer(models.BPE())
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False)
    pieces = pre_tokenizers.Split(Regex(f".{{1,{LONGEST_WORD}}}"), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([words, pieces])
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=d_vocab,
        special_tokens=[BOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    backend.pre_tokenizer = words
    return _with_bos(backend)


def listed_vocabulary(texts: Iterable[str], what: str) -> Tokenizer:
    """Every one of the texts' `words` or `characters` is a token.

    Raises:
        NotEnoughDataError: there is no text.
    """
    backend = Tokenizer(models.WordLevel())
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(PIECES[what]), "isolated")
    backend.decoder = decoders.Fuse()
    trainer = trainers.WordLevelTrainer(
        vocab_size=_UNLIMITED, special_tokens=[BOS], show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    if backend.get_vocab_size() < 2:
        raise NotEnoughDataError(
            f"A vocabulary of {what} needs text; got none. Give at least one text "
            "that is not empty."
        )
    return _with_bos(backend)


def _with_bos(backend: Tokenizer) -> Tokenizer:
    backend.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, backend.token_to_id(BOS))]
    )
    return backend
