"""Text to token ids and back, byte for byte; strings of tokens are for display only."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokenizers
from tokenizers import pre_tokenizers, processors

from interp.core.alignment import Span
from interp.core.display import display_token
from interp.core.errors import CheckpointError, TokenError, near_misses
from interp.core.files import read_object, read_text, write_json, write_text
from interp.models import vocabularies
from interp.models.vocabularies import BOS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CONFIG, SPECIAL = "tokenizer_config.json", "special_tokens_map.json"
MOST_IDS = 2**24
"""Sixty times the largest vocabulary there is; `tokenizers` lists each id below the largest."""


@contextmanager
def panics_as_errors() -> Iterator[None]:
    """Raise a panic of `tokenizers`, which is no `Exception`, as a `RuntimeError`."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise RuntimeError(str(error)) from None


class Tokenizer:
    """A tokenizer of Hugging Face's `tokenizers` with exact bytes, spans and refusals.

    Build one with `words`, `bytes_bpe`, `characters`, `load` or `from_transformers`.

    Example:
        >>> tokenizer = Tokenizer.words(["Anna is in the garden."])
        >>> tokenizer.display(tokenizer.encode("Anna is in the garden."))
        ['<|bos|>', 'Anna', '·is', '·in', '·the', '·garden', '.']
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        *,
        bos: str | None = BOS,
        eos: str | None = None,
        adds_bos: bool | None = None,
    ) -> None:
        """Wrap a tokenizer of Hugging Face, which is changed.

        Args:
            backend: of the `tokenizers` package.
            bos: the token that begins a text, if it has one.
            eos: the token that ends one; None = ours ends with what begins the next text.
            adds_bos: whether `bos` is put before every text; None = as its own post-processor does.
        Raises:
            TokenError: `adds_bos`, and there is no such token; or no id, or one beyond reason.
        """
        largest = max(backend.get_vocab(with_added_tokens=True).values(), default=-1)
        if not 0 <= largest < MOST_IDS:
            raise TokenError(
                f"A tokenizer needs tokens with ids below {MOST_IDS:,}; the largest of this one is "
                f"{largest:,}. Its file is damaged, or of something else."
            )
        backend.no_truncation()
        backend.no_padding()
        if bos == BOS:  # text that spells our own token is text; others keep their makers' habit
            backend.encode_special_tokens = True
        self.backend = backend
        self.named_bos = bos if bos is not None and backend.token_to_id(bos) is not None else None
        self._first = _first_ids(backend) if adds_bos is None else self._switched(adds_bos)
        _add_first(backend, self._first)
        self.bos_token_id = self._first[0] if self._first else None
        self.bos = None if self.bos_token_id is None else backend.id_to_token(self.bos_token_id)
        last = BOS if eos is None and self.named_bos == BOS else eos
        end = None if last is None else backend.token_to_id(last)
        self.eos_token_ids: tuple[int, ...] = () if end is None else (end,)
        """Tokens that end a text, as the tokenizer's own files say; a model's may name more."""
        self.d_vocab = 1 + largest
        self._n_ids = self.d_vocab

    @classmethod
    def words(cls, texts: Iterable[str]) -> "Tokenizer":
        """One token a word, the space before it inside; every punctuation mark is a token.

        Raises:
            NotEnoughDataError: there is no text.
        """
        return cls(vocabularies.listed_vocabulary(texts, "words"))

    @classmethod
    def characters(cls, texts: Iterable[str]) -> "Tokenizer":
        """One token a character.

        Raises:
            NotEnoughDataError: there is no text.
        """
        return cls(vocabularies.listed_vocabulary(texts, "characters"))

    @classmethod
    def bytes_bpe(cls, texts: Iterable[str], d_vocab: int = 1024) -> "Tokenizer":
        """Byte-pair merges learned from the texts; any text can be encoded.

        Raises:
            ConfigError: `d_vocab` leaves no room for the 256 bytes.
        """
        return cls(vocabularies.bytes_bpe_vocabulary(texts, d_vocab))

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Read a `tokenizer.json`, or the folder that holds one.

        Its post-processor says what is put before a text, as in `transformers`; which tokens begin
        and end one stands in the `tokenizer_config.json` or `special_tokens_map.json` beside it.

        Raises:
            CheckpointError: the file is missing, damaged or of another kind.
        """
        path = Path(path)
        path = path / "tokenizer.json" if path.is_dir() else path
        text = read_text(path)
        named = {}
        for name in (SPECIAL, CONFIG):
            beside = path.with_name(name)
            named |= read_object(beside) if beside.exists() else {}
        try:
            with panics_as_errors():
                backend = tokenizers.Tokenizer.from_str(text)
                ours = backend.token_to_id(BOS) is not None
                bos = BOS if ours else _content(named.get("bos_token"))
                return cls(backend, bos=bos, eos=_content(named.get("eos_token")))
        except Exception as error:  # noqa: BLE001  (tokenizers raises nothing narrower)
            raise CheckpointError(
                f"{path} must be a tokenizer.json of Hugging Face's tokenizers; it is not "
                f"({error}). Copy the file again."
            ) from None

    @classmethod
    def from_transformers(cls, tokenizer: "PreTrainedTokenizerBase") -> "Tokenizer":
        """Wrap a fast tokenizer of `transformers`: the same ids, and the same put before a text.

        Raises:
            TokenError: the tokenizer is a slow one and holds no `tokenizers` backend.
        """
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, tokenizers.Tokenizer):
            raise TokenError(
                "A tokenizer of transformers must be a fast one, with a `tokenizers` backend; got "
                f"{type(tokenizer).__name__}. Load it with use_fast=True."
            )
        twin = tokenizers.Tokenizer.from_str(backend.to_str())
        return cls(twin, bos=tokenizer.bos_token, eos=tokenizer.eos_token)

    def with_bos(self, adds_bos: bool | None) -> "Tokenizer":
        """This tokenizer with its beginning-of-text token put before every text, or with none.

        Args:
            adds_bos: None = as it is.
        Raises:
            TokenError: `adds_bos`, and the tokenizer has no such token.
        """
        if adds_bos is None:
            return self
        twin = tokenizers.Tokenizer.from_str(self.backend.to_str())
        (end,) = self.eos_token_ids or (None,)
        eos = None if end is None else twin.id_to_token(end)
        return Tokenizer(twin, bos=self.named_bos, eos=eos, adds_bos=adds_bos)

    def padded(self, d_vocab: int) -> "Tokenizer":
        """This tokenizer for a model with more rows: ids without a token have a name, no bytes."""
        wider = copy(self)
        wider._n_ids = max(d_vocab, self.d_vocab)
        return wider

    def save(self, path: str | Path) -> None:
        """Write `tokenizer.json` (into `path` if that is a folder), whole or not at all."""
        path = Path(path)
        path = path / "tokenizer.json" if path.is_dir() else path
        write_text(path, self.to_json())
        if self.special_tokens != {"bos_token": BOS, "eos_token": BOS}:
            kind = {"tokenizer_class": "PreTrainedTokenizerFast"}
            write_json(path.with_name(CONFIG), kind | self.special_tokens)

    @property
    def special_tokens(self) -> dict[str, str | None]:
        """The tokens that begin and end a text, by the names of `tokenizer_config.json`."""
        named = {"bos_token": self.named_bos}
        for end in self.eos_token_ids:
            named["eos_token"] = self.backend.id_to_token(end)
        return named

    def to_json(self) -> str:
        """The text of `tokenizer.json`."""
        return self.backend.to_str(pretty=True)

    @cached_property
    def hash(self) -> str:
        """16 hex digits that change with anything that could change an id."""
        return hashlib.sha256(f"{self.bos}\n{self.backend.to_str()}".encode()).hexdigest()[:16]

    def encode(self, text: str, *, bos: bool = True) -> list[int]:
        """Token ids; first what the tokenizer puts before a text, if `bos`.

        A text's first word is read with a space before it where the vocabulary has it only so.

        Raises:
            TokenError: a word or character is not in the vocabulary.
        """
        return self._begin(bos) + self._encode(text)[0]

    def encode_batch(self, texts: Sequence[str], *, bos: bool = True) -> list[list[int]]:
        """As `encode` for many texts at once, on all cores.

        Raises:
            TokenError: a word or character is not in the vocabulary.
        """
        try:
            encodings = self.backend.encode_batch_fast(list(texts), add_special_tokens=False)
        except Exception:  # noqa: BLE001  (tokenizers raises nothing narrower)
            return [self.encode(text, bos=bos) for text in texts]
        first = self._begin(bos)
        return [first + encoding.ids for encoding in encodings]

    def encode_with_spans(self, text: str, *, bos: bool = True) -> tuple[list[int], list[Span]]:
        """Token ids and the characters each one covers, whole even where it holds a part of one.

        Raises:
            TokenError: a word or character is not in the vocabulary.
        """
        ids, spaced = self._encode(text)
        special = self._special
        pieces = [special[i].encode() if i in special else self.table[i] for i in ids]
        spans = _spans(text, pieces, spaced or self._adds_first_space)
        if spans is None:  # the tokenizer changes the text, so only its own account is left
            offsets = self.backend.encode(text, add_special_tokens=False).offsets
            spans = _without_overlap(offsets)
        first = self._begin(bos)
        return first + ids, [(0, 0)] * len(first) + spans

    def least_length(self, text: str) -> int:
        """How many tokens a text has at the least, whether or not all of it can be encoded."""
        cutter = self.backend.pre_tokenizer
        return 1 if cutter is None else len(cutter.pre_tokenize_str(text))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; special tokens are left out, broken characters become `�`.

        Raises:
            TokenError: an id is not in the vocabulary.
        """
        return b"".join(self.pieces(ids)).decode("utf-8", errors="replace")

    def pieces(self, ids: Sequence[int]) -> list[bytes]:
        """The exact bytes of each token; none for special tokens and for ids without a token.

        Raises:
            TokenError: an id is not in the vocabulary.
        """
        numbers = [int(i) for i in ids]
        if numbers and not 0 <= min(numbers) <= max(numbers) < self._n_ids:
            wrong = next(i for i in numbers if not 0 <= i < self._n_ids)
            raise TokenError(
                f"Ids must lie in 0 … {self._n_ids - 1}; got {wrong}. Is the text from another "
                "model's tokenizer?"
            )
        table = self.table
        pieces = [table[i] if i < self.d_vocab else b"" for i in numbers]
        begins = self._adds_first_space and numbers[:1] == [self.bos_token_id]
        return pieces[:1] + _without_first_space(pieces[1:]) if begins else pieces

    def display(self, ids: Sequence[int]) -> list[str]:
        """One printable string a token, for people only: never count or join these.

        An id that no token has, as a model with more rows than its tokenizer may choose, is shown
        as `<unused 151700>`.
        """
        pieces = self.pieces(ids)
        return [self._display(int(i), piece) for i, piece in zip(ids, pieces, strict=True)]

    @cached_property
    def table(self) -> list[bytes]:
        """The bytes of every token by id; empty for special tokens."""
        alphabet = _byte_alphabet() if '"ByteLevel"' in self._decoder else None
        spelled = "▁" if "▁" in self._decoder else None
        table = [b""] * self.d_vocab
        added = self.backend.get_added_tokens_decoder()
        for token, i in self.backend.get_vocab(with_added_tokens=True).items():
            if i in added:
                table[i] = b"" if added[i].special else added[i].content.encode()
            else:
                table[i] = _bytes_of(token, alphabet, spelled)
        return table

    @cached_property
    def _special(self) -> dict[int, str]:
        added = self.backend.get_added_tokens_decoder()
        return {i: token.content for i, token in added.items() if token.special}

    @cached_property
    def _decoder(self) -> str:
        decoder = json.loads(self.backend.to_str())["decoder"]
        return json.dumps(decoder, ensure_ascii=False)

    @cached_property
    def _adds_first_space(self) -> bool:
        """Whether a text's first word gets a space it does not have (SentencePiece's habit)."""
        return any(sign in self._decoder for sign in ('"Strip"', '"first"', '"always"'))

    def _switched(self, adds_bos: bool) -> list[int]:
        if adds_bos and self.named_bos is None:
            raise TokenError(
                "Only a tokenizer that names a beginning-of-text token can put one before a text; "
                "this names none. Leave `bos` out."
            )
        return [self.backend.token_to_id(self.named_bos)] if adds_bos else []

    def _begin(self, bos: bool) -> list[int]:
        return [*self._first] if bos else []

    def _encode(self, text: str) -> tuple[list[int], bool]:
        """The ids of the text alone, and whether its first word was read with a space before it."""
        try:
            return self.backend.encode(text, add_special_tokens=False).ids, False
        except Exception:  # noqa: BLE001  (tokenizers raises nothing narrower)
            error = self._out_of_vocabulary(text)
        try:
            return self.backend.encode(f" {text}", add_special_tokens=False).ids, True
        except Exception:  # noqa: BLE001
            raise error from None

    def _display(self, token: int, piece: bytes) -> str:
        if token in self._special:
            return self._special[token]
        known = piece or self.backend.id_to_token(token) is not None
        return display_token(piece) if known else f"<unused {token}>"

    def _out_of_vocabulary(self, text: Any) -> TokenError:
        if not isinstance(text, str):
            return TokenError(f"Text must be a str; got {type(text).__name__}. Pass a str.")
        if re.search("[\ud800-\udfff]", text):
            return TokenError("Text must be valid Unicode; this has half a surrogate pair in it.")
        known = self.backend.get_vocab(with_added_tokens=False)
        cutter = self.backend.pre_tokenizer
        for piece, (start, _) in cutter.pre_tokenize_str(text) if cutter else ():
            if piece not in known:
                return TokenError(
                    f"Every word must be one of this tokenizer's {self.d_vocab} tokens; {piece!r} "
                    f"at character {start} is not.{near_misses(piece, known)}"
                )
        return TokenError(f"This tokenizer cannot encode {text[:80]!r}. Use another tokenizer.")


def _bytes_of(token: str, alphabet: dict[str, int] | None, spelled: str | None) -> bytes:
    if alphabet is not None and all(sign in alphabet for sign in token):
        return bytes(alphabet[sign] for sign in token)
    if spelled is not None and re.fullmatch(r"<0x[0-9A-Fa-f]{2}>", token):
        return bytes([int(token[3:5], 16)])
    return (token.replace(spelled, " ") if spelled is not None else token).encode()


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable sign of each byte: itself where it prints, else the next free one."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    signs = {chr(byte): byte for byte in plain}
    others = (byte for byte in range(256) if byte not in set(plain))
    signs.update({chr(256 + n): byte for n, byte in enumerate(others)})
    if set(signs) != set(pre_tokenizers.ByteLevel.alphabet()):
        raise RuntimeError("the byte alphabet of `tokenizers` has changed")
    return signs


def _first_ids(backend: tokenizers.Tokenizer) -> list[int]:
    """What the tokenizer's own post-processor puts before a text, seen on a text."""
    for text in chain(("a",), backend.get_vocab(with_added_tokens=False)):
        try:
            alone = backend.encode(text, add_special_tokens=False).ids
            whole = backend.encode(text, add_special_tokens=True).ids
        except Exception:  # noqa: BLE001  (tokenizers raises nothing narrower)
            continue
        # A text that itself holds what is put before it would not tell where it begins.
        if alone and whole.count(alone[0]) == alone.count(alone[0]):
            return whole[: whole.index(alone[0])]
    return []


def _add_first(backend: tokenizers.Tokenizer, first: list[int]) -> None:
    """Let the post-processor put these before a text and nothing behind it, which goes on."""
    if (_first_ids(backend), backend.num_special_tokens_to_add(False)) == (first, len(first)):
        return
    tokens = [backend.id_to_token(token) for token in first]
    backend.post_processor = processors.TemplateProcessing(
        single="BOS $A" if first else "$A",
        special_tokens=[{"id": "BOS", "ids": first, "tokens": tokens}] if first else [],
    )


def _spans(text: str, pieces: Sequence[bytes], spaced: bool) -> list[Span] | None:
    """Characters of each piece, or None when the pieces are not the text's bytes.

    Args:
        spaced: a piece may have a space before it that the text does not have.
    """
    raw, at = text.encode("utf-8"), 0
    cuts: list[Span] = []
    for piece in pieces:
        there = raw.startswith(piece, at)
        bare = piece[1:] if spaced and not there and piece.startswith(b" ") else piece
        if not raw.startswith(bare, at):
            return None
        cuts.append((at, at + len(bare)))
        at += len(bare)
    if at != len(raw):
        return None
    if len(raw) == len(text):
        return cuts
    holder = [i for i, character in enumerate(text) for _ in character.encode("utf-8")]
    holder.append(len(text))
    return [(holder[a], holder[b - 1] + 1 if b > a else holder[a]) for a, b in cuts]


def _without_overlap(spans: Sequence[Span]) -> list[Span]:
    """Spans of which each begins where the last one ended, but for parts of one character."""
    kept: list[Span] = []
    for start, end in spans:
        done = kept[-1] if kept else (0, 0)
        if (start, end) != done:
            start = max(start, done[1])
        kept.append((start, max(start, end)))
    return kept


def _without_first_space(pieces: list[bytes]) -> list[bytes]:
    if pieces and pieces[0].startswith(b" "):
        return [pieces[0][1:], *pieces[1:]]
    return pieces


def _content(token: Any) -> str | None:
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else None
