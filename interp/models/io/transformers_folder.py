"""Folders of any family, opened by `transformers`: offline, whole, running no program of theirs."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from interp.core.errors import CheckpointError, ConfigError, first_line
from interp.core.files import read_object
from interp.models.io.checkpoint import WORDS
from interp.models.io.huggingface import has_tokenizer, read_tensors
from interp.models.io.huggingface_config import refuse_quantized
from interp.models.tokenizer import Tokenizer, panics_as_errors
from interp.models.weights import check_weight


def whole_model(folder: Path, dtype: torch.dtype) -> Any:
    """The model of a folder, if its tensors are all that its class has and no others.

    Raises:
        CheckpointError: a file or tensor is missing, damaged, left over, quantised or not finite.
        ConfigError: the weights are quantised, or transformers knows no such architecture.
    """
    settings = read_object(folder / "config.json")
    try:
        refuse_quantized(settings)
    except ConfigError as error:
        raise ConfigError(f"{folder}: {error}") from None
    for key, tensor in read_tensors(folder).items():
        check_weight(key, tensor, str(folder))
    options = dict(local_files_only=True, trust_remote_code=False, use_safetensors=True)
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, output_loading_info=True, **options
        )
    except Exception as error:  # Each of hundreds of classes checks in its own way.
        raise ConfigError(f"transformers cannot open {folder}: {first_line(error)}") from error
    faults = {
        "lacks": sorted(report["missing_keys"]),
        "has, unlike its class,": sorted(report["unexpected_keys"]),
        "has in another shape": sorted(key for key, *_ in report["mismatched_keys"]),
    }
    for what, keys in faults.items():
        if keys:
            raise CheckpointError(
                f"{type(model).__name__} needs exactly its own tensors; {folder}, saved from "
                f"{settings.get('architectures')}, {what} {keys[-1]} (one of {len(keys)}). "
                "A model without a language-model head cannot be opened: get the whole model."
            )
    return model


def its_tokenizer(folder: Path) -> Any:
    """The tokenizer of the folder, of `transformers`; None where there is no file of one.

    Raises:
        CheckpointError: transformers cannot read it.
    """
    if not has_tokenizer(folder):
        return None
    if (folder / WORDS).exists():
        Tokenizer.load(folder)  # It refuses ids at which transformers would take all memory.
    try:
        with panics_as_errors():
            options = dict(local_files_only=True, trust_remote_code=False)
            return AutoTokenizer.from_pretrained(folder, **options)
    except Exception as error:  # noqa: BLE001  (each form's reader raises its own kinds)
        raise CheckpointError(
            f"The tokenizer in {folder} must be one that transformers reads; it is not "
            f"({first_line(error)}). Take its files away, and the model takes token ids alone."
        ) from None
