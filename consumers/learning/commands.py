"""``aegis train``: make a model version from a market."""

from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import Misconfigured

app = typer.Typer(help="Train models (needs the extra 'train').", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Train models (needs the extra 'train')."""


@app.command()
def lstm(
    out: Annotated[Path, typer.Option(help="Folder of models; the version is made in it.")],
    data: Annotated[Path | None, typer.Option(help="Data folder; else a seeded market.")] = None,
    version: Annotated[int, typer.Option(min=1, help="Number of the new version.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the market, the network and the order.")] = 20260210,
    epochs: Annotated[int, typer.Option(min=1, max=100, help="Passes over the dates.")] = 6,
) -> None:
    """Train the LSTM and write <out>/lstm/<version>/{model.onnx,card.json}."""
    from rich.console import Console  # noqa: PLC0415 -- help must not wait for it

    try:
        from consumers.learning import export, panel, train  # noqa: PLC0415 -- torch: when asked
    except ImportError as error:
        raise Misconfigured(
            f"expected the extra 'train', was {error}; install it: uv pip install -e '.[train]'"
        ) from error
    say = Console(stderr=True).print
    market = panel.seeded(seed) if data is None else panel.read(data)
    say(f"training on {market.origin}")
    dates = train.samples(market, seed)
    trained = train.fit(dates, seed=seed, epochs=epochs, say=say)
    card = export.write(out, trained, dates, version=version, origin=market.origin, seed=seed)
    probe = out / "probe.onnx"
    if not probe.exists():
        probe.write_bytes(export.probe_graph())
    say(f"{card.model}/{card.version} {card.sha256}: {card.remark}")
    say(", ".join(f"{name} {value:.4f}" for name, value in card.metrics.items()))
