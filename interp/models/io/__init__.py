"""Models in and out of folders: our own, Hugging Face, GGUF, checkpoints of a run."""
