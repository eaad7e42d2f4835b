"""Files that are whole or not there, and readers that survive any bytes.

Only JSON, text, raw arrays and safetensors are read or written here; nothing is ever unpickled.
"""

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from interp.core.errors import CheckpointError

_MOST_TEXT_BYTES = 256 * 2**20
PICKLED = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"}
_LEFT = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{12}\.(?P<kind>tmp|old)|\.tmp[0-9A-Za-z]{6}")
"""Names of `_beside`, and those under which the safetensors library writes."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name beside `path`; what was written there takes `path`'s place at the end.

    The old file stays as it was until the new one is whole and on the disk, also if this process
    is killed or the disk is full.
    """
    path = Path(path)
    temporary = _beside(path)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside `path`; whole, it takes `path`'s place.

    A folder that already stands there is moved aside first and removed last; it comes back if the
    new one cannot take its place.

    Raises:
        CheckpointError: a file or a link stands there.
    """
    path = Path(path)
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise CheckpointError(f"{path} must be a folder; it is a file or a link. Move it away.")
    temporary = _beside(path)
    old = temporary.with_suffix(".old")
    temporary.mkdir()
    try:
        yield temporary
        for file in [*temporary.rglob("*"), temporary]:
            sync(file)
        if path.exists():
            path.rename(old)
        temporary.rename(path)
        sync(path.parent)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(folder: str | Path) -> None:
    """Remove what killed writers left directly in a folder; nobody may be writing there now.

    An old folder whose new one never took its place is put back.
    """
    folder = Path(folder)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not (left := _LEFT.fullmatch(path.name)):
            continue
        if left["kind"] == "old" and not (folder / left["name"]).exists():
            path.rename(folder / left["name"])
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def holds_only(folder: str | Path, names: Collection[str]) -> bool:
    """Whether a folder, and no link to one, holds no other entries than these."""
    folder = Path(folder)
    own = folder.is_dir() and not folder.is_symlink()
    return own and all(path.name in names for path in folder.iterdir())


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write bytes, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON that people can read, whole or not at all; the same value gives the same bytes."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_safetensors(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(plain, temporary, metadata=dict(metadata or {}) or None)


def sha256_file(path: str | Path) -> str:
    """The SHA-256 of a file, 64 hex digits.

    Raises:
        CheckpointError: there is no such regular file.
    """
    path = regular_file(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_text(path: str | Path) -> str:
    """The UTF-8 text of a file of at most 256 MiB.

    Raises:
        CheckpointError: the file is missing, no regular file, too large, or not UTF-8.
    """
    path = regular_file(path)
    size = path.stat().st_size
    if size > _MOST_TEXT_BYTES:
        raise CheckpointError(
            f"{path} must be text of at most {_MOST_TEXT_BYTES} bytes; it has {size}. "
            "It is not a file of this kind: copy it again."
        )
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(
            f"{path} must be UTF-8 text; byte {error.start} is not. Copy the file again."
        ) from None


def read_json(path: str | Path) -> Any:
    """The value of a JSON file.

    Raises:
        CheckpointError: the file is missing, damaged, or not JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} must be JSON; it is not ({str(error) or 'nested too deeply'}). "
            "Copy the file again."
        ) from None


def read_object(path: str | Path) -> dict[str, Any]:
    """The value of a JSON file that must be an object.

    Raises:
        CheckpointError: the file is missing, damaged or not JSON, or its value is not an object.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise CheckpointError(
            f"{path} must hold a JSON object; it holds {type(value).__name__}. Copy it again."
        )
    return value


def safetensors_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes in a safetensors file; no weight is read.

    Raises:
        CheckpointError: the file is missing, damaged, pickled or of another kind.
    """
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def safe_load_safetensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU.

    Raises:
        CheckpointError: the file is missing, damaged, pickled or of another kind.
    """
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def as_dtype(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors with every floating-point one in `dtype`.

    Args:
        tensors: tensors by name.
        dtype: precision of the floating-point ones; whole numbers and flags stay as they are.
    """
    return {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a safetensors file.

    Raises:
        CheckpointError: the file is missing, damaged, pickled or of another kind.
    """
    with _opened(path) as file:
        return file.metadata() or {}


def regular_file(path: str | Path) -> Path:
    """The path, if a regular file is there: no folder, device or pipe.

    Raises:
        CheckpointError: it is missing or something else.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise CheckpointError(
            f"The file {path} needs to be readable; it cannot be read ({why}). Check the path."
        ) from None
    if not stat.S_ISREG(mode):
        raise CheckpointError(f"{path} must be a file; it is a folder, device or pipe.")
    return path


def inside(folder: str | Path, name: Any) -> Path:
    """The path of the file `name`, which a file of `folder` speaks of: always inside it.

    Raises:
        CheckpointError: the name is empty, absolute, climbs out with `..`, or is no name.
    """
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    tricks = {"", "..", "/"} & set(parts) or not parts or "\\" in name or ":" in name
    if tricks or "\0" in name:
        raise CheckpointError(
            f"File names in {folder} must stay inside it; {name!r} does not. Do not trust the "
            "folder."
        )
    return Path(folder) / name


def refuse_pickle(path: str | Path) -> None:
    """Refuse a file that only unpickling could read.

    Raises:
        CheckpointError: the name, or the file's first bytes, say that it is a pickle.
    """
    path = Path(path)
    if path.suffix.lower() in PICKLED or _begins_like_pickle(path):
        raise CheckpointError(
            f"{path} is a pickled file: reading it could run any program it holds, so it is never "
            "opened. Convert it to safetensors on a machine that you can afford to lose, or get "
            "the model's safetensors."
        )


def _begins_like_pickle(path: Path) -> bool:
    with regular_file(path).open("rb") as file:
        start = file.read(8)
    pickled = start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    safetensors = start[7:8] == b"\x00"  # a header length below 2**56
    return (pickled and not safetensors) or start[:4] == b"PK\x03\x04"


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    path = regular_file(path)
    refuse_pickle(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except (SafetensorError, RuntimeError, ValueError, KeyError, OverflowError, OSError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path} must be a whole safetensors file; it is not ({error}). Copy it again, or "
            "load another checkpoint."
        ) from None


def _beside(path: Path) -> Path:
    """A new hidden name in the path's own folder, which is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")
