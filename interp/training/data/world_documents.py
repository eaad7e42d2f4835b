"""A world's documents in the order of their numbers, sampled by several processes at once."""

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from interp.training.data.packing import CorpusDocument
from interp.worlds.world import Story, World

_CHUNK = 250
Sampler = Callable[[Sequence[int]], list[CorpusDocument]]
_sampler: Sampler


def world_documents(
    world: World, numbers: Sequence[int], *, level: str, split: str, processes: int | None = None
) -> Iterator[CorpusDocument]:
    """The world's stories of those numbers, as documents; the same for any count of processes.

    Args:
        world: world that writes the stories.
        numbers: numbers of the stories, in the order of the documents.
        level: level of the world.
        split: split of the world.
        processes: number of processes; None = one a core where it pays. They are forked, and touch
            nothing but the world; where a system cannot fork safely, this process works alone.
    """

    def sample(some: Sequence[int]) -> list[CorpusDocument]:
        return [story_document(world.sample(n, level=level, split=split)) for n in some]

    chunks = [numbers[i : i + _CHUNK] for i in range(0, len(numbers), _CHUNK)]
    processes = min(processes or _cores(), len(chunks))
    if processes < 2 or sys.platform != "linux":
        return chain.from_iterable(map(sample, chunks))
    return chain.from_iterable(_together(sample, chunks, processes))


def story_document(story: Story) -> CorpusDocument:
    """A world's story with the weights and the floor that its choices give."""
    return CorpusDocument(
        text=story.text,
        weights=tuple((*c.span, c.weight) for c in story.choices if c.weight != 1.0),
        floor=tuple((*c.span, c.surprisal_nats) for c in story.choices),
    )


def _together(
    sample: Sampler, chunks: Sequence[Sequence[int]], processes: int
) -> Iterator[list[CorpusDocument]]:
    fork = multiprocessing.get_context("fork")
    with fork.Pool(processes, _begin, (sample,)) as pool:
        yield from pool.imap(_documents, chunks)


def _begin(sampler: Sampler) -> None:
    global _sampler  # of a forked process only: a pool's function cannot carry what is not pickled
    _sampler = sampler
    gc.disable()  # stories hold no cycles, and looking for some took a sixth of the time
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for us


def _documents(numbers: Sequence[int]) -> list[CorpusDocument]:
    return _sampler(numbers)


def _cores() -> int:
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, 16)
