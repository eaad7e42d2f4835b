"""Text for training, in one place: pack it once, open it without reading it, draw batches."""

from interp.training.batches import Batch, Batches, fixed_batch
from interp.training.corpus import Corpus, Part
from interp.training.packing import Document, pack
from interp.training.sources import write_text_corpus, write_world_corpus
from interp.training.textfiles import read_documents

__all__ = [
    "Batch",
    "Batches",
    "Corpus",
    "Document",
    "Part",
    "fixed_batch",
    "pack",
    "read_documents",
    "write_text_corpus",
    "write_world_corpus",
]
