"""Whatever is in a file, a setting or a command, it ends in a sentence or it works.

A few hundred here; `INTERP_MUTATIONS=6000 pytest tests/test_mutations.py` is the long run.
"""

import io
import json
import os
import random
import re
import shutil
import string
import warnings
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from runpy import run_path

import pytest

import interp
from interp.cli import main
from interp.core.edits import from_json, to_json
from interp.core.errors import InterpError
from interp.core.files import safe_load_safetensors
from interp.methods.data.labelled_table import check_labels, place_rows, read_labelled
from interp.models.gpt import GPT
from interp.models.io.checkpoint import save_model
from interp.models.io.importing import import_model
from interp.models.no_tokenizer import NoTokenizer
from interp.models.tokenizer import Tokenizer
from interp.report import Report
from interp.results.result import load_result
from interp.runs.metrics import read_metrics
from interp.steering_recipe import SteeringRecipe
from interp.training.data.sources import write_text_corpus
from interp.training.recipe.config import TrainConfig
from tests.mutations import changed_bytes, changed_json, gguf_value, json_text
from tests.report import findings

EARLIER = Path(__file__).parent / "earlier"
MOST_MEMORY = 2 * 2**30
STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")
N = int(os.environ.get("INTERP_MUTATIONS", "300"))
DOORS: dict[str, Callable[[random.Random, Path], object]] = {}
SHARES: dict[str, int] = {}


def door(share: int) -> Callable:
    """Register a way in; `share` says how often of all it is tried."""

    def register(function: Callable[[random.Random, Path], object]) -> Callable:
        name = function.__name__
        DOORS[name], SHARES[name] = function, share
        return function

    return register


def signed(record: dict) -> dict:
    """With the hash that our own files have: whoever changes one can do that."""
    plain = {key: value for key, value in record.items() if key != "sha256"}
    return plain | {"sha256": sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()}


def looked_at(result: interp.results.Result) -> None:
    """Everything that a page, a report and a table ask of a result."""
    str(result), repr(result), result.caption(), result.frame(), result.code()


@door(5)
def result_in_a_folder(draw: random.Random, folder: Path) -> None:
    source = draw.choice(sorted((EARLIER / "results").iterdir()))
    shutil.copytree(source, folder / "r")
    file = folder / "r" / "result.json"
    about = json.loads(file.read_text())
    part = draw.choice(["fields", "fields", "provenance", None])
    if part:
        about[part] = changed_json(about[part], draw)
    else:
        about = changed_json(about, draw)
    file.write_text(json_text(signed(about), draw))
    looked_at(load_result(folder / "r"))


@door(1)
def result_with_other_bytes(draw: random.Random, folder: Path) -> None:
    source = draw.choice(sorted((EARLIER / "results").iterdir()))
    shutil.copytree(source, folder / "r")
    file = draw.choice(sorted((folder / "r").iterdir()))
    file.write_bytes(changed_bytes(file.read_bytes(), draw))
    looked_at(load_result(folder / "r"))


@door(4)
def recipe(draw: random.Random, folder: Path) -> None:
    record = json.loads((EARLIER / "files" / "happy.recipe.json").read_text())
    sampling = draw.random() < 0.3
    if sampling:
        record["sampling"] = changed_json(record["sampling"], draw)
    else:
        record = changed_json(record, draw)
    read = SteeringRecipe.from_json(json_text(signed(record), draw))
    read.to_json().encode()
    read.fit(shipped())
    if sampling and int(read.sampling.get("max_new_tokens") or 0) < 2**12:
        shipped().generate(read.prompt, edits=read.edits(shipped()), **dict(read.sampling))


@door(5)
def edits(draw: random.Random, folder: Path) -> None:
    record = json.loads((EARLIER / "files" / "edits.json").read_text())
    record = [draw.choice(record)] if draw.random() < 0.5 else record
    read = from_json(json_text(changed_json(record, draw), draw))
    to_json(read)
    shipped().run("It is a sunny morning.", edits=read)


@door(1)
def table_of_labels(draw: random.Random, folder: Path) -> None:
    rows = [f'"It is a sunny morning.",{n % 2},morning,{n}' for n in range(50)]
    content = "\n".join(["text,label,word,group", *rows]).encode()
    name = "t.csv"
    if draw.random() < 0.6:
        name = "t.jsonl"
        row = {"text": "It is a sunny morning.", "label": "a", "start": 0, "end": 5, "group": "g"}
        lines = [json_text(changed_json(row, draw), draw) for _ in range(2)]
        content = "\n".join([*[json.dumps(row)] * 45, *lines]).encode()
    if draw.random() < 0.5:
        content = changed_bytes(content, draw)
    (folder / name).write_bytes(content)
    read = read_labelled(folder / name)
    check_labels(read)
    place_rows(read, shipped().tokenizer, 256)


@door(1)
def text_to_train_on(draw: random.Random, folder: Path) -> None:
    name = draw.choice(["a.txt", "a.jsonl"])
    row = {"text": "It is a sunny morning. " * 9, "more": [1, None]}
    lines = [json_text(changed_json(row, draw), draw) for _ in range(2)]
    content = "\n".join([*[json.dumps(row)] * 25, *lines]).encode()
    if draw.random() < 0.7:
        content = changed_bytes(content, draw)
    (folder / name).write_bytes(content)
    kind = draw.choice(["words", "characters", "bpe"])
    write_text_corpus(folder / name, folder / "corpus", tokenizer=kind, d_vocab=280)


@door(1)
def report(draw: random.Random, folder: Path) -> None:
    files = dict(report_files())
    if draw.random() < 0.5:
        return Report.load(io.BytesIO(changed_bytes(zipped(files), draw)))
    name = draw.choice([name for name in files if name.endswith(".json")])
    value = changed_json(json.loads(files[name]), draw)
    files[name] = json_text(signed(value) if name.endswith("result.json") else value, draw).encode()
    if name != "manifest.json":
        manifest = json.loads(files["manifest.json"])
        about = {"sha256": sha256(files[name]).hexdigest(), "bytes": len(files[name])}
        manifest["files"][name] = about
        files["manifest.json"] = json.dumps(manifest).encode()
    return Report.load(io.BytesIO(zipped(files))).html()


@door(2)
def model_to_import(draw: random.Random, folder: Path) -> None:
    files = dict(model_files())
    way = draw.random()
    if way < 0.4:
        content = changed_bytes(zipped(files), draw)
    else:
        name = draw.choice(sorted(files))
        changed = changed_bytes(files[name], draw)
        if way < 0.7 and name.endswith(".json"):
            changed = json_text(changed_json(json.loads(files[name]), draw), draw).encode()
        files[name] = changed
        content = zipped(files)
    import_model(io.BytesIO(content), folder / "models", "new")


@door(2)
def folder_of_transformers(draw: random.Random, folder: Path) -> None:
    family = draw.choice(["LlamaForCausalLM", "GPT2LMHeadModel", "Qwen3ForCausalLM"] * 4 + BRIDGED)
    files = dict(transformers_files(family))
    name = draw.choice([*sorted(files), "config.json", "tokenizer.json"])
    if name.endswith(".json") and draw.random() < 0.8:
        files[name] = json_text(changed_json(json.loads(files[name]), draw), draw).encode()
    else:
        files[name] = changed_bytes(files[name], draw)
    for each, content in files.items():
        (folder / each).write_bytes(content)
    used(interp.load_model(folder))


@door(2)
def gguf_file(draw: random.Random, folder: Path) -> None:
    family = draw.choice(["LlamaForCausalLM", "GPT2LMHeadModel", "Qwen3ForCausalLM"])
    keys, words, file = {}, dict(WORDS), folder / "m.gguf"
    for _ in range(draw.choice([0, 1, 1, 2])):
        keys[draw.choice(KEYS)] = gguf_value(draw)
    for _ in range(draw.choice([0, 0, 1, 2])):
        words[draw.choice([*WORDS, "eos_token_id", "pre", "scores"])] = gguf_value(draw)
    _families()["write_gguf"](foreign(family), file, keys=keys, **words)
    if draw.random() < 0.5:
        whole = file.read_bytes()
        start = draw.choice([0, 0, draw.randrange(len(whole))])
        part = changed_bytes(whole[start : start + 3_000], draw)
        file.write_bytes(whole[:start] + part + whole[start + 3_000 :])
    used(interp.load_model(file))


def used(model: interp.GPT) -> None:
    """What whoever opens a model does next."""
    model.run([1, 2, 3])
    model.generate([1, 2, 3], max_new_tokens=3)
    if not isinstance(model.tokenizer, NoTokenizer):
        model.generate("w1 w1", max_new_tokens=3)


@door(1)
def tensors(draw: random.Random, folder: Path) -> None:
    content = changed_bytes(model_files()["model.safetensors"], draw)
    (folder / "x.safetensors").write_bytes(content)
    safe_load_safetensors(folder / "x.safetensors")


@door(1)
def measurements_of_a_run(draw: random.Random, folder: Path) -> None:
    rows = [{"kind": "train", "step": n, "loss_nats_per_token": 2.0} for n in range(4)]
    lines = [json_text(changed_json(row, draw), draw) for row in rows]
    (folder / "metrics.jsonl").write_bytes(changed_bytes("\n".join(lines).encode(), draw))
    read_metrics(folder / "metrics.jsonl", "train")


@door(3)
def settings_of_a_run(draw: random.Random, folder: Path) -> None:
    shape = {"n_layers": 1, "d_model": 16, "n_heads": 2, "d_vocab": 50, "n_ctx": 16}
    known = TrainConfig.from_dict({"steps": 10, "model": shape}).to_dict()
    TrainConfig.from_dict(changed_json(known, draw))


VALUES = ("", "x", "-1", "0", "1", "1.5", "1e400", "nan", "null", "[]", "{}", "@", "@/", "9" * 5000,
          "../..", "/proc/self/mem", "a\0b", "\udcff", "resid_post:99", "true", "Anna")  # fmt: skip
LINES = (
    ["run", "surprise", "--text", "It is a sunny morning."],
    ["run", "attention", "--prompt", "It is a sunny morning."],
    ["run", "logit_lens", "--prompt", "It is a"],
    ["generate", "stories-demo", "It is a", "--max-new-tokens", "2"],
    ["worlds", "--sample", "stories", "--seed", "3"],
    ["models", "."],
    ["report", ".", "--title", "x"],
    ["compare", "a", "b"],
    ["train", "--data", "x", "--steps", "1", "--set", "seed=1"],
    ["sweep", "--sizes", "8", "--steps", "1"],
)
MORE = ("--out", "--html", "--csv", "--edits", "--recipe", "--step", "--device", "--seed", "--k",
        "--temperature", "--stop", "--level", "--layers", "--model", "--set", "--preset", "--top-k",
        "--count", "--targets", "--lens", "--documents")  # fmt: skip


@door(3)
def command(draw: random.Random, folder: Path) -> None:
    line = list(draw.choice(LINES))
    for _ in range(draw.choice([1, 1, 2])):
        way = draw.randrange(3)
        if way == 0:
            line[draw.randrange(len(line))] = draw.choice(VALUES)
        elif way == 1:
            line += [draw.choice(MORE), draw.choice(VALUES)]
        else:
            del line[draw.randrange(len(line))]
    if line[:1] in (["dashboard"], ["demo"]):
        return
    before = Path.cwd()
    os.chdir(folder)
    try:
        main(line)
    except SystemExit as left:
        assert left.code in (0, 1, 2, None), (left.code, line)
    finally:
        os.chdir(before)


BRIDGED = ["MistralForCausalLM"]
KEYS = ("block_count", "embedding_length", "context_length", "attention.head_count",
        "attention.head_count_kv", "feed_forward_length", "attention.layer_norm_epsilon",
        "attention.layer_norm_rms_epsilon", "attention.key_length", "rope.freq_base",
        "rope.dimension_count", "vocab_size", "rope.scaling.type", "rope.scaling.factor",
        "expert_count", "attention.sliding_window", "logit_scale", "x")  # fmt: skip
LETTERS = "Ġ" + string.digits + string.ascii_letters
TOKENS = ["<s>", *LETTERS[:57], "w1", "Ġw1", "w1w1"]
WORDS = {"model": "gpt2", "tokens": TOKENS, "token_type": [3] + [1] * 60, "bos_token_id": 0,
         "merges": ["w 1", "Ġ w1", "w1 w1"]}  # fmt: skip


def foreign(family: str) -> object:
    return _once(f"foreign {family}", lambda: _families()["built"](family))


def transformers_files(family: str) -> dict[str, bytes]:
    return _once(f"files {family}", lambda: _transformers_files(family))


def _families() -> dict:
    page = Path(__file__).parents[1] / "docs" / "model_families.py"
    return _once("families", lambda: run_path(str(page)))


def _transformers_files(family: str) -> dict[str, bytes]:
    folder = Path(os.environ["INTERP_MUTATIONS_FOLDER"]) / family
    foreign(family).save_pretrained(folder)
    words = ["w1", *(f" w{n}" for n in range(1, 60))]
    Tokenizer.words(["".join(words)]).save(folder / "tokenizer.json")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def shipped() -> GPT:
    return _once("shipped", lambda: interp.load_model("stories-demo"))


def model_files() -> dict[str, bytes]:
    return _once("model", _model_files)


def report_files() -> dict[str, bytes]:
    made = lambda: Report("One").add(findings.lens()).zip(pictures=False)  # noqa: E731
    return _once("report", lambda: unzipped(made()))


def _model_files() -> dict[str, bytes]:
    folder = save_model(findings.model(), Path(os.environ["INTERP_MUTATIONS_FOLDER"]) / "model")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


_MADE: dict[str, object] = {}


def _once(name: str, make: Callable[[], object]) -> object:
    if name not in _MADE:
        _MADE[name] = make()
    return _MADE[name]


@pytest.fixture(scope="module", autouse=True)
def folder_of_its_own(tmp_path_factory) -> Iterator[None]:
    os.environ["INTERP_MUTATIONS_FOLDER"] = str(tmp_path_factory.mktemp("mutations"))
    yield
    del os.environ["INTERP_MUTATIONS_FOLDER"]


def memory(kind: str) -> int:
    """Bytes of this process."""
    return 1024 * int(re.search(rf"{kind}:\s*(\d+) kB", STATUS.read_text())[1])


@pytest.mark.skipif(not PEAK.exists(), reason="the peak of memory is read from Linux's /proc")
@pytest.mark.parametrize("name", DOORS)
def test_what_is_changed_ends_in_a_sentence(name, tmp_path, capsys):
    """No other error, no file beside the folder that was given, no more than 2 GiB of memory."""
    report_files(), model_files(), shipped()
    (tmp_path / "own").mkdir()
    PEAK.write_text("5")  # forget the peak of the tests before
    before = memory("VmRSS")
    faults = []
    for seed in range(max(2, N * SHARES[name] // sum(SHARES.values()))):
        draw, folder = random.Random(f"{name} {seed}"), tmp_path / "own" / str(seed)
        folder.mkdir()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                DOORS[name](draw, folder)
        except InterpError as error:
            if len(str(error).encode("utf-8", "backslashreplace")) > 2_000:
                faults.append(f"seed {seed}: an endless sentence: {str(error)[:100]!r}")
        except Exception as error:  # noqa: BLE001
            place = error.__traceback__
            while place.tb_next:
                place = place.tb_next
            where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}"
            faults.append(f"seed {seed}: {type(error).__name__} at {where}: {str(error)[:100]!r}")
        capsys.readouterr()
        shutil.rmtree(folder)
    assert not faults, f"{len(faults)} of {seed + 1}:\n" + "\n".join(faults)
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    assert memory("VmHWM") - before < MOST_MEMORY
