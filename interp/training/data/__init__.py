"""From a corpus to batches: text files and worlds, packed, ordered by a curriculum."""
