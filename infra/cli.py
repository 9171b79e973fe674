"""The front door: ``aegis``.

Each room adds its commands by the entry point group ``aegis.commands``: a function, or a typer
app for a family.  Its figures it adds to the one family ``aegis bench`` by ``aegis.benches``.
Importing a command module costs typer and nothing more, so that help is there at once.
"""

import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import typer

from schemas.errors import AegisError, Fatal, Transient

COMMANDS: Final = "aegis.commands"
BENCHES: Final = "aegis.benches"
TRY_AGAIN: Final = 75
"""``EX_TEMPFAIL``: the same command may succeed later."""
WRONG: Final = 70
"""``EX_SOFTWARE``: we are wrong or blind."""
REFUSED: Final = 2
"""A setting, an argument or the machine is wrong; the message says which."""


def build() -> typer.Typer:
    """Return the whole command line."""
    app = typer.Typer(
        help="AEGIS trades Korean stocks from a stream.",
        no_args_is_help=True,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for each in sorted(entry_points(group=COMMANDS), key=lambda entry: entry.name):
        command = each.load()
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=each.name)
        else:
            app.command(each.name)(command)
    benches = sorted(entry_points(group=BENCHES), key=lambda entry: entry.name)
    if benches:
        app.add_typer(_bench(benches), name="bench")
    return app


def main() -> None:
    """Run ``aegis``; an error of ours is one sentence and an exit status that means something."""
    try:
        build()()
    except AegisError as error:
        typer.echo(str(error), err=True)
        sys.exit(_status(error))


def _bench(benches: Sequence[EntryPoint]) -> typer.Typer:
    family = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

    @family.callback()
    def group() -> None:
        """Measure: ratios side by side in one run."""

    for each in benches:
        family.command(each.name)(each.load())
    return family


def _status(error: AegisError) -> int:
    if isinstance(error, Transient):
        return TRY_AGAIN
    return WRONG if type(error) is Fatal else REFUSED


if __name__ == "__main__":
    main()
