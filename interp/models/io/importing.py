"""Imports a model from elsewhere: checked, opened once, then moved into place as a whole."""

import os
import re
import shutil
import zipfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from interp.core import untrusted_archive
from interp.core.errors import CheckpointError, InterpError
from interp.core.files import read_object
from interp.core.untrusted_archive import Contents, Piece, quote
from interp.models.io.checkpoint import open_model, save_model

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?<!\.)")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
CONFIG, TOKENIZER, GGUF = "config.json", "tokenizer.json", ".gguf"
OPENED = (
    "A model is a GGUF file, a folder of interp or of `transformers` (safetensors and JSON), or a "
    "zip of such a folder"
)
CONTENTS = Contents(
    what="a model",
    needed=CONFIG,
    suffixes=frozenset({".safetensors", ".json", ".jsonl", ".md", ".txt"}),
    kinds="safetensors, JSON and text",
    plain_names=frozenset({"license", "notice", "merges.txt"}),
    # What systems and running jobs leave beside a model is no part of it.
    left_out=re.compile(r"(^|/)(\.|__MACOSX/|states/|run\.lock)"),
    folders=True,
    most_files=1000,
    most_bytes=2 * 2**30,
    most_json=64 * 2**20,  # A tokenizer of 256,000 tokens has 33 MiB.
    advice="Choose the model's folder, or zip it again.",
    if_too_large="Open it in Python: interp.load_model(FOLDER).",
)


def import_model(
    source: str | Path | BinaryIO, models: str | Path, name: str | None = None
) -> Path:
    """Copy a model's folder, or unpack a zip of one, into a folder of its own among other models.

    Our own folders keep their checkpoints and measurements, and every SHA-256 on record must hold.
    A `transformers` folder (GPT-2, Llama or Qwen 3; safetensors) is written anew in our own form.
    A GGUF file is copied and stays one file. Nothing is unpickled, no other model is replaced, and
    a refusal leaves the models as they were.

    Args:
        source: a folder, a zip of one, or a GGUF file; or an opened zip or GGUF file. A folder has
            at most 2 GB and 1,000 files.
        models: the folder of models that gets the new one.
        name: name of the new folder or, without its ending, file; None = the source's own name.
    Returns:
        The new folder, or the new GGUF file.
    Raises:
        CheckpointError: a file is missing, damaged, pickled, too large or no part of a model, the
            name cannot be a folder's, or there is such a model already.
        ConfigError: the model is of a family that has no counterpart here.
    Example:
        >>> import_model("no/such/model.zip", "runs")
        Traceback (most recent call last):
        interp.core.errors.CheckpointError: There is no 'no/such/model.zip'. Check the path.
    """
    place = Path(source).expanduser() if isinstance(source, str | Path) else source
    if isinstance(place, Path) and not place.exists():
        raise CheckpointError(f"There is no {quote(str(source))}. Check the path.")
    ending = _ending(place)
    name = _name(place).removesuffix(ending) if name is None else name
    target = Path(models) / f"{check_name(name)}{ending}"
    _refuse_existing(target)
    temporary = target.with_name(f".{name}.{os.urandom(6).hex()}.tmp")
    try:
        if ending == GGUF:
            _write_gguf(place, temporary / target.name)
        else:
            _unpack(place, temporary / target.name)
        _open_once(temporary / target.name)
        _refuse_existing(target)
        (temporary / target.name).rename(target)
    except InterpError as error:
        raise type(error)(str(error).replace(str(temporary) + os.sep, "")) from None
    except OSError as error:
        raise CheckpointError(
            f"{models} cannot take the model ({error.strerror or error}). Free some space, or "
            "choose another folder."
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def check_name(name: str) -> str:
    """The name, if every system can use it as a folder's.

    Raises:
        CheckpointError: it holds other than letters, digits, `.`, `_` and `-`, or is reserved.
    """
    if not NAME.fullmatch(name) or RESERVED.fullmatch(name):
        raise CheckpointError(
            f"A model's name is up to 64 letters, digits, '.', '_' and '-'; {quote(name)} is none. "
            "Give it another name."
        )
    return name


def _name(source: Path | BinaryIO) -> str:
    path = source if isinstance(source, Path) else Path(str(getattr(source, "name", "model")))
    folder = isinstance(source, Path) and source.is_dir()
    return path.resolve().name if folder else path.name.removesuffix(".zip")


def _ending(source: Path | BinaryIO) -> str:
    """`.gguf` of a GGUF file, nothing of a folder or zip.

    Raises:
        CheckpointError: it is another kind of file.
    """
    if isinstance(source, Path) and source.is_dir():
        return ""
    is_path = isinstance(source, Path)
    if is_path and not source.is_file():
        raise CheckpointError(f"{OPENED}; {quote(str(source))} is none. Check the path.")
    with source.open("rb") if is_path else nullcontext(source) as file:
        start = file.read(4)
        file.seek(0)
        if start == b"GGUF":
            return GGUF
        if zipfile.is_zipfile(file):
            return ""
    name = quote(getattr(source, "name", "the file"))
    raise CheckpointError(f"{OPENED}; {name} is none of these, or damaged. Give one of them.")


def _write_gguf(source: Path | BinaryIO, file: Path) -> None:
    """A copy of the file: what is done to the original later does not reach the model.

    Raises:
        CheckpointError: the disk has no room for it.
    """
    file.parent.mkdir(parents=True)
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as original:
        size = original.seek(0, os.SEEK_END)
        original.seek(0)
        free = shutil.disk_usage(file.parent).free
        if size > free:
            raise CheckpointError(
                f"A copy of the GGUF file needs {size / 1e9:.1f} GB; {file.parent.parent} has "
                f"{free / 1e9:.1f} GB left. Free some space, or choose another folder."
            )
        with file.open("wb") as copy:
            shutil.copyfileobj(original, copy, 2**20)


def _refuse_existing(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise CheckpointError(
            f"There is a model named {target.name!r} already, and none is ever replaced. Give "
            "the new one another name."
        )


def _unpack(source: Path | BinaryIO, folder: Path) -> None:
    with untrusted_archive.pieces_of(source, CONTENTS) as pieces:
        model = _model_in(pieces)
        folder.mkdir(parents=True)
        untrusted_archive.write(model, folder, CONTENTS)


def _model_in(pieces: list[Piece]) -> list[Piece]:
    """The pieces below the one folder that has a config.json, named from there on."""
    names = {piece.name for piece in pieces}
    tops = [name.removesuffix(CONFIG) for name in names if f"/{name}".endswith(f"/{CONFIG}")]
    top = min(tops, key=len)
    if any(not other.startswith(top) for other in tops):
        raise CheckpointError("A model must come alone; there are several. Import one at a time.")
    if top + TOKENIZER not in names:
        raise CheckpointError(
            f"The model needs its {TOKENIZER}; there is none beside its {CONFIG}. Add it."
        )
    if not any(name.startswith(top) and name.endswith(".safetensors") for name in names):
        raise CheckpointError("The model needs weights (.safetensors); there are none. Add them.")
    return [
        replace(piece, name=piece.name.removeprefix(top))
        for piece in pieces
        if piece.name.startswith(top)
    ]


def _open_once(folder: Path) -> None:
    """Read the model as anyone would; a foreign folder is written again in our form.

    Raises:
        CheckpointError: a file is damaged or foreign.
        ConfigError: the family has no counterpart here.
    """
    if folder.is_file():
        from interp.models.io.load import load_model

        load_model(folder)
        return
    if not {"architectures", "model_type"} & set(read_object(folder / CONFIG)):
        open_model(folder)
        return
    from interp.models.io.huggingface import load_huggingface

    model = load_huggingface(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    save_model(model, folder)
