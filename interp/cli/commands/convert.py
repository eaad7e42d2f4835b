"""`interp convert FILE.gguf FOLDER`: a GGUF file as a folder that transformers opens too."""

from pathlib import Path

import click

from interp.cli.targets import Target


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("folder", type=Target("folder"))
def command(file: Path, folder: Path) -> None:
    """Write the model of a GGUF FILE into a new FOLDER, its weights dequantised to float32.

    `interp` and `transformers` open the folder; the weights are the same to the last bit.
    """
    from interp.core.errors import ConfigError
    from interp.core.files import replacing_folder
    from interp.models.io.gguf_cache import open_gguf
    from interp.models.io.huggingface import save_huggingface

    if folder.exists():
        raise ConfigError(f"convert needs a new folder to write; got {folder}, which is there.")
    model = open_gguf(file)
    with replacing_folder(folder) as temporary:
        save_huggingface(model, temporary)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    for path in files:
        click.echo(f"wrote  {path}  {path.stat().st_size / 1e6:,.1f} MB")
    total = sum(path.stat().st_size for path in files)
    click.echo(f"{total / 1e6:,.0f} MB from {file.stat().st_size / 1e6:,.0f} MB of {file}")
