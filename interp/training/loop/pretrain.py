"""Training from random weights: one loop, whose every step is a pure function of recipe and step.

A run that was killed at any moment goes on from its newest whole state to the very weights that an
uninterrupted run ends with, on the same machine with as many threads and ranks.
"""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interp.core.errors import CheckpointError, ConfigError
from interp.models.gpt import GPT
from interp.training.data.batches import Batches
from interp.training.data.corpus import Corpus
from interp.training.data.curriculum import stage_at
from interp.training.distributed import (
    Engine,
    ProcessGroup,
    explain_lost_ranks,
    full_tensor,
    join_process_group,
    shard_like,
)
from interp.training.loop.evaluate import HeldOut, held_out_batch
from interp.training.loop.metrics import MetricsLog, Writer, finite_or_none
from interp.training.loop.update import Updater, UpdateStatistics
from interp.training.recipe.config import TrainConfig
from interp.training.recipe.schedule import is_checkpoint_step
from interp.training.run.lock import run_lock
from interp.training.run.run_folder import RunFolder
from interp.training.run.signals import StopRequest, stop_on_signals
from interp.training.run.state import TrainingState, WriteCallback, load_state, save_state

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunProgress:
    """How far a run is, reported after every reading of the loss.

    Attributes:
        step: updates done.
        steps: updates of the whole run.
        loss_nats_per_token: loss of the last update.
        stage: number of the curriculum's stage, counted from 0.
        evaluation: the newest `eval` record; None before the first evaluation.
        seconds: wall-clock time since this session of the run began.
        tokens_per_second: predicted tokens a second, since this session of the run began.
    """

    step: int
    steps: int
    loss_nats_per_token: float
    stage: int
    evaluation: dict[str, Any] | None
    seconds: float
    tokens_per_second: float


ProgressCallback = Callable[[RunProgress], None]
ModelCallback = Callable[[GPT, int], None]
"""Called with the model and the updates done; it must change neither weights nor random state."""


def train(
    config: TrainConfig,
    corpus_folder: str | Path,
    run_folder: str | Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    engine: Engine = "ddp",
    progress: ProgressCallback = lambda progress: None,
    writers: Iterable[Writer] = (),
    on_write: WriteCallback = lambda moment: None,
    watch: ModelCallback = lambda model, step: None,
) -> GPT:
    """Train a model, or go on with a run that was stopped; the same call does both.

    Ctrl-C and SIGTERM save the state after the step at hand and leave; a second one leaves at once.

    Args:
        config: the run's recipe.
        corpus_folder: folder of a packed corpus.
        run_folder: a new folder, or that of a run with the same recipe (its steps may differ).
        device: `auto`, `cuda`, `mps` or `cpu`.
        threads: CPU threads; None = OMP_NUM_THREADS or, without it, torch's choice: physical cores.
        engine: `ddp` or `fsdp`, under torchrun.
        progress: called after every reading of the loss, by the main rank.
        writers: called with every record of `metrics.jsonl`.
        on_write: called with the name of each stage of the write of a state.
        watch: called with the model and the updates done, before the first update of this session
            and after every reading of the loss, by the main rank; not under `fsdp`, where no rank
            holds the whole model.
    Returns:
        The trained model, also saved in `run_folder`.
    Raises:
        ConfigError: recipe, corpus and run folder do not fit; every field is named.
        TrainingError: the loss diverged, the disk is full, a rank was lost, or another process
            trains in this folder.
        Interrupted: (a KeyboardInterrupt; exit code 130) after Ctrl-C.
        Terminated: (a SystemExit; exit code 143) after SIGTERM.
    """
    path = Path(run_folder)
    with ExitStack() as stack:
        group = stack.enter_context(join_process_group(device))
        stack.enter_context(explain_lost_ranks(group))
        stack.enter_context(run_lock(path) if group.is_main else nullcontext())
        stop = stack.enter_context(stop_on_signals())
        _set_up_cpu(threads)
        stack.callback(torch.set_flush_denormal, False)
        stack.enter_context(torch.random.fork_rng())
        corpus = Corpus.open(corpus_folder, verify=True)
        _check_fit(config, corpus, group)
        folder = RunFolder(path, config, corpus)
        metrics = MetricsLog(folder.metrics, writers if group.is_main else ())
        model = GPT(config.model, corpus.tokenizer, seed=config.seed, name=path.name)
        model.to(group.device(device))
        run = TrainingRun(config, folder, metrics, model, group, engine, stop, progress, on_write)
        if group.is_main and engine != "fsdp":
            run.watch = watch
        return run.go()


class TrainingRun:
    """A training run in one process: the loop, and what is due after each step."""

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        metrics: MetricsLog,
        model: GPT,
        group: ProcessGroup,
        engine: Engine,
        stop: StopRequest,
        report: ProgressCallback,
        on_write: WriteCallback,
    ) -> None:
        self.config, self.folder, self.metrics, self.model = config, folder, metrics, model
        self.group, self.stop, self.report, self.on_write = group, stop, report, on_write
        batches = Batches(
            folder.corpus,
            config.stages,
            batch_size=config.batch_size,
            context=config.context,
            rows=config.rows,
            seed=config.seed,
        )
        self.stages = batches.stages
        self.updater = Updater(config, model, batches, group, engine)
        slice_ = held_out_batch(folder.corpus, config)
        self.held_out = HeldOut(slice_, config.batch_size, group)
        self.evaluation: dict[str, Any] | None = None
        self.first, self.began = 0, time.perf_counter()
        self.watch: ModelCallback = lambda model, step: None

    def go(self) -> GPT:
        """Resume or start, run to the end, save the model."""
        self.first = self._resume()
        if self.first == 0:
            self._evaluate_and_checkpoint(0)
        self.watch(self.model, self.first)
        self.began = time.perf_counter()
        for step in range(self.first, self.config.steps):
            self.updater.update(step)
            self._after(step + 1)
        return self._finish()

    def _resume(self) -> int:
        state, warnings = self.folder.resume_point() if self.group.is_main else (None, [])
        step = self.group.broadcast(state.step if state else None)
        if step is not None and state is None:
            state = load_state(self.folder.state_folder(step))
        for warning in warnings:
            log.warning(warning)
        if step is None:
            # Before anything else: a folder of a run has a state, or is not one to go on with.
            self._save(0)
        if self.group.is_main:
            self.folder.begin(state, self.group, warnings)
            self.metrics.cut_back(step or 0)
        if state is None:
            return 0
        self._restore(state)
        return state.step

    def _restore(self, state: TrainingState) -> None:
        parameters = dict(self.model.named_parameters())
        if set(parameters) != set(state.model):
            odd = min(set(parameters) ^ set(state.model))
            raise CheckpointError(
                f"The state in {self.folder.path} was written by another version of interp: "
                f"{odd} is missing or foreign. Go on with that version, or train anew."
            )
        with torch.no_grad():
            for name, parameter in parameters.items():
                value = state.model[name].to(parameter.device)
                parameter.copy_(shard_like(value, parameter))
        self.updater.optimizers.load_tensors(state.optimizer)

    def _after(self, done: int) -> None:
        """Read, evaluate and save what is due after `done` updates; stop if that was asked."""
        config = self.config
        last = done == config.steps
        reading = done % config.log_every == 0
        # The ranks agree on stopping only where they wait for each other anyway.
        asked = self.stop.signal is not None
        meeting = self.group.size == 1 or reading
        stopping = meeting and self.group.any(asked, self.model.device)
        saving = last or stopping or _every(config.checkpoint_every, done)
        if reading or saving or self._evaluates(done) or self._checkpoints(done):
            loss = self._read(done)
            self._evaluate_and_checkpoint(done, stopping)
            if self.group.is_main:
                self.report(self._progress(done, loss))
            self.watch(self.model, done)
        if saving:
            self._save(done)
        if stopping and not last:
            raise self.stop.error(
                f"Stopped after step {done} of {config.steps}; the state is saved in "
                f"{self.folder.path}. The same command goes on from there."
            )

    def _evaluates(self, done: int) -> bool:
        return done == self.config.steps or _every(self.config.eval_every, done)

    def _checkpoints(self, done: int) -> bool:
        config = self.config
        return is_checkpoint_step(done, steps=config.steps, every=config.checkpoint_every)

    def _read(self, done: int) -> float:
        """Wait for the losses since the last reading; write and check them; gives the last one."""
        statistics = self.updater.read()
        if self.group.is_main:
            self.metrics.append([*self._train_records(statistics, done), self._speed(done)])
        self.updater.check(statistics, done)
        return statistics.loss[-1]

    def _evaluate_and_checkpoint(self, done: int, stopping: bool = False) -> None:
        """Evaluate and keep the weights where the recipe says so; weights also where it stops."""
        if self._evaluates(done):
            record = self.held_out.evaluate(self.model, self.updater.autocast)
            self.evaluation = {"kind": "eval", "step": done} | record
            if self.group.is_main:
                self.metrics.append([self.evaluation])
        if stopping or self._checkpoints(done):
            weights = self._weights()
            if self.group.is_main:
                self.folder.save_weights(done, weights)

    def _save(self, done: int) -> None:
        self.updater.assert_finite_weights(done)
        weights, buffers = self._weights(), self.updater.optimizers.tensors()
        if self.group.is_main:
            state = self.folder.state(done, weights, buffers)
            save_state(
                self.folder.states, state, keep=self.config.keep_full, on_write=self.on_write
            )
        self.group.barrier()

    def _weights(self) -> dict[str, Tensor]:
        return {name: full_tensor(p.detach()) for name, p in self.model.named_parameters()}

    def _finish(self) -> GPT:
        model = GPT(self.config.model, self.model.tokenizer, seed=None, name=self.model.name)
        model.load_state_dict(self._weights())
        model.step = self.config.steps
        model.to(self.model.device).eval()
        if self.group.is_main:
            self.folder.save_model(model)
        self.group.barrier()
        return model

    def _train_records(self, statistics: UpdateStatistics, done: int) -> Iterable[dict[str, Any]]:
        first = done - len(statistics.loss) + 1
        columns = (statistics.loss, statistics.objective, statistics.grad_norm)
        table = zip(*columns, strict=True)
        for step, (loss, objective, norm) in enumerate(table, start=first):
            yield {
                "kind": "train",
                "step": step,
                "loss_nats_per_token": finite_or_none(loss),
                "objective_nats": finite_or_none(objective),
                "learning_rate_scale": self.config.learning_rate_scale(step - 1),
                "stage": stage_at(self.stages, step - 1)[0],
                "grad_norm": finite_or_none(norm),
            }

    def _speed(self, done: int) -> dict[str, Any]:
        seconds, rate = self._pace(done)
        return {
            "kind": "speed",
            "step": done,
            "seconds": round(seconds, 3),
            "cpu_seconds": round(time.process_time(), 3),
            "tokens_per_second": round(rate),
        }

    def _pace(self, done: int) -> tuple[float, float]:
        seconds = time.perf_counter() - self.began
        tokens = (done - self.first) * self.config.batch_size * self.config.context
        return seconds, tokens / max(seconds, 1e-9)

    def _progress(self, done: int, loss: float) -> RunProgress:
        seconds, rate = self._pace(done)
        return RunProgress(
            step=done,
            steps=self.config.steps,
            loss_nats_per_token=loss,
            stage=stage_at(self.stages, done - 1)[0],
            evaluation=self.evaluation,
            seconds=seconds,
            tokens_per_second=rate,
        )


def _every(n: int, done: int) -> bool:
    return n > 0 and done % n == 0


def _check_fit(config: TrainConfig, corpus: Corpus, group: ProcessGroup) -> None:
    d_vocab = corpus.tokenizer.d_vocab
    if config.model.d_vocab != d_vocab:
        raise ConfigError(
            f"The model must have as many tokens as the corpus; model d_vocab="
            f"{config.model.d_vocab}, the tokenizer of {corpus.folder} {d_vocab}. Set d_vocab."
        )
    parts = group.size * config.accumulate
    if config.batch_size % parts:
        raise ConfigError(
            f"batch_size must be a multiple of ranks times accumulate, {group.size} x "
            f"{config.accumulate}; got {config.batch_size}."
        )


def _set_up_cpu(threads: int | None) -> None:
    if threads is not None:
        torch.set_num_threads(threads)
    # Numbers below 1e-38 cost a hundred times as much as others and change nothing.
    torch.set_flush_denormal(True)
