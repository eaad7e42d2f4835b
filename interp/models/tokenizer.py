"""Text to token ids and back, byte for byte; strings of tokens are for display only."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokenizers
from tokenizers import pre_tokenizers

from interp.core.alignment import Span
from interp.core.display import display_token
from interp.core.errors import CheckpointError, TokenError, near_misses
from interp.core.files import read_object, read_text, write_json, write_text
from interp.models import vocabularies
from interp.models.vocabularies import BOS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CONFIG = "tokenizer_config.json"


class Tokenizer:
    """A tokenizer of Hugging Face's `tokenizers` with exact bytes, spans and refusals.

    Build one with `words`, `bytes_bpe`, `characters`, `load` or `from_transformers`.

    Example:
        >>> tokenizer = Tokenizer.words(["Anna is in the garden."])
        >>> tokenizer.display(tokenizer.encode("Anna is in the garden."))
        ['<|bos|>', 'Anna', '·is', '·in', '·the', '·garden', '.']
    """

    eos_token_id: int | None = None
    """A token besides the beginning of text that ends one; set where a model's files name it."""

    def __init__(self, backend: tokenizers.Tokenizer, *, bos: str | None = BOS) -> None:
        backend.no_truncation()
        backend.no_padding()
        if bos == BOS:  # text that spells our own token is text; others keep their makers' habit
            backend.encode_special_tokens = True
        self.backend = backend
        self.bos = bos if bos is not None and backend.token_to_id(bos) is not None else None
        self.bos_token_id = backend.token_to_id(self.bos) if self.bos is not None else None
        self.d_vocab = 1 + max(backend.get_vocab(with_added_tokens=True).values())

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

        A `tokenizer_config.json` beside it says which tokens begin and end a text; ours begins it
        wherever the vocabulary has it.

        Raises:
            CheckpointError: the file is missing, damaged or of another kind.
        """
        path = Path(path)
        path = path / "tokenizer.json" if path.is_dir() else path
        text = read_text(path)
        try:
            backend = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # noqa: BLE001  (tokenizers raises nothing narrower)
            raise CheckpointError(
                f"{path} must be a tokenizer.json of Hugging Face's tokenizers; it is not "
                f"({error}). Copy the file again."
            ) from None
        config = path.with_name(CONFIG)
        said = read_object(config) if config.exists() else {}
        ours = backend.token_to_id(BOS) is not None
        return cls(backend, bos=BOS if ours else _content(said.get("bos_token")))._ending(
            _content(said.get("eos_token"))
        )

    @classmethod
    def from_transformers(cls, tokenizer: "PreTrainedTokenizerBase") -> "Tokenizer":
        """Wrap a fast tokenizer of `transformers`: the same ids, without special tokens added.

        Raises:
            TokenError: the tokenizer is a slow one and holds no `tokenizers` backend.
        """
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, tokenizers.Tokenizer):
            raise TokenError(
                "A tokenizer of transformers must be a fast one, with a `tokenizers` backend; got "
                f"{type(tokenizer).__name__}. Load it with use_fast=True."
            )
        copy = tokenizers.Tokenizer.from_str(backend.to_str())
        return cls(copy, bos=tokenizer.bos_token)._ending(tokenizer.eos_token)

    def save(self, path: str | Path) -> None:
        """Write `tokenizer.json` (into `path` if that is a folder), whole or not at all."""
        path = Path(path)
        path = path / "tokenizer.json" if path.is_dir() else path
        write_text(path, self.to_json())
        if self.bos != BOS or self.eos_token_id is not None:
            ends = {"bos_token": self.bos}
            if self.eos_token_id is not None:
                ends["eos_token"] = self.backend.id_to_token(self.eos_token_id)
            write_json(
                path.with_name(CONFIG), {"tokenizer_class": "PreTrainedTokenizerFast"} | ends
            )

    def to_json(self) -> str:
        """The text of `tokenizer.json`."""
        return self.backend.to_str(pretty=True)

    @cached_property
    def hash(self) -> str:
        """16 hex digits that change with anything that could change an id."""
        return hashlib.sha256(f"{self.bos}\n{self.backend.to_str()}".encode()).hexdigest()[:16]

    def encode(self, text: str, *, bos: bool = True) -> list[int]:
        """Token ids; the beginning-of-text token first when `bos` and there is one.

        Raises:
            TokenError: a word or character is not in the vocabulary.
        """
        try:
            ids = self.backend.encode(text, add_special_tokens=False).ids
        except Exception:  # noqa: BLE001  (tokenizers raises nothing narrower)
            raise self._out_of_vocabulary(text) from None
        return self._begin(bos) + ids

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
        ids = self.encode(text, bos=False)
        pieces = self.pieces(ids)
        if self._adds_first_space:
            pieces = _without_first_space(pieces)
        spans = _spans(text, pieces)
        if spans is None:  # the tokenizer changes the text, so only its own account is left
            spans = self.backend.encode(text, add_special_tokens=False).offsets
        first = self._begin(bos)
        return first + ids, [(0, 0)] * len(first) + spans

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; special tokens are left out, broken characters become `�`.

        Raises:
            TokenError: an id is not in the vocabulary.
        """
        return b"".join(self.pieces(ids)).decode("utf-8", errors="replace")

    def pieces(self, ids: Sequence[int]) -> list[bytes]:
        """The exact bytes of each token; none for special tokens.

        Raises:
            TokenError: an id is not in the vocabulary.
        """
        numbers = [int(i) for i in ids]
        if numbers and not 0 <= min(numbers) <= max(numbers) < self.d_vocab:
            wrong = next(i for i in numbers if not 0 <= i < self.d_vocab)
            raise TokenError(
                f"Ids must lie in 0 … {self.d_vocab - 1}; got {wrong}. Is the text from another "
                "model's tokenizer?"
            )
        table = self.table
        pieces = [table[i] for i in numbers]
        begins = self._adds_first_space and numbers[:1] == [self.bos_token_id]
        return pieces[:1] + _without_first_space(pieces[1:]) if begins else pieces

    def display(self, ids: Sequence[int]) -> list[str]:
        """One printable string a token, for people only: never count or join these."""
        special = self._special
        return [
            special.get(int(i)) or display_token(piece)
            for i, piece in zip(ids, self.pieces(ids), strict=True)
        ]

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

    def _ending(self, eos: str | None) -> "Tokenizer":
        """This tokenizer, with the token that ends a text set, if not the one that begins it."""
        end = self.backend.token_to_id(eos) if isinstance(eos, str) else None
        self.eos_token_id = end if end != self.bos_token_id else None
        return self

    def _begin(self, bos: bool) -> list[int]:
        return [self.bos_token_id] if bos and self.bos_token_id is not None else []

    def _out_of_vocabulary(self, text: Any) -> TokenError:
        if not isinstance(text, str):
            return TokenError(f"Text must be a str; got {type(text).__name__}. Pass a str.")
        if re.search("[\ud800-\udfff]", text):
            return TokenError("Text must be valid Unicode; this has half a surrogate pair in it.")
        known = self.backend.get_vocab(with_added_tokens=False)
        for piece, (start, _) in self.backend.pre_tokenizer.pre_tokenize_str(text):
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


def _spans(text: str, pieces: Sequence[bytes]) -> list[Span] | None:
    """Characters of each piece, or None when the pieces are not the text's bytes."""
    raw = text.encode("utf-8")
    if b"".join(pieces) != raw:
        return None
    if len(raw) == len(text):
        return list(_running(len(piece) for piece in pieces))
    holder = [i for i, character in enumerate(text) for _ in character.encode("utf-8")]
    cuts = _running(len(piece) for piece in pieces)
    end = len(text)
    return [(holder[a], holder[b - 1] + 1) if b > a else (end, end) for a, b in cuts]


def _running(lengths: Iterable[int]) -> Iterator[Span]:
    start = 0
    for length in lengths:
        yield start, start + length
        start += length


def _without_first_space(pieces: list[bytes]) -> list[bytes]:
    if pieces and pieces[0].startswith(b" "):
        return [pieces[0][1:], *pieces[1:]]
    return pieces


def _content(token: Any) -> str | None:
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else None
