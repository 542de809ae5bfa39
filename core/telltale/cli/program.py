"""The command line: every command prints one table, or one JSON object with ``--json``.

Exit status 0 means done, 2 that something handed in was wrong (one sentence on stderr), 1 a fault of Telltale's own.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import typer

from telltale.base.errors import TelltaleError
from telltale.base.terminal import hold_every_character
from telltale.cases.commands import cases
from telltale.cli.bundles import build, bundles, verify
from telltale.cli.corrections import corrections
from telltale.cli.data import data
from telltale.cli.images import analyse, attack
from telltale.cli.influence_lds import influence_lds
from telltale.cli.inspecting import inspect
from telltale.cli.labels import label_errors, planted_errors
from telltale.cli.leaderboard import leaderboard
from telltale.cli.measuring import bench, evaluate, growth
from telltale.cli.pages import app
from telltale.cli.rejection import rejection
from telltale.cli.render import render
from telltale.cli.robust_twin import robust_twin
from telltale.cli.slices import slices
from telltale.cli.tables import reproduce
from telltale.cli.training import train
from telltale.cli.versus import versus
from telltale.cli.worker import worker

BAD_INPUT = 2
FAULT = 1
INTERRUPTED = 130

COMMANDS = (
    app,
    bundles,
    inspect,
    build,
    train,
    verify,
    attack,
    analyse,
    evaluate,
    leaderboard,
    rejection,
    robust_twin,
    influence_lds,
    bench,
    label_errors,
    planted_errors,
    slices,
    versus,
    growth,
    reproduce,
    worker,
)

program = typer.Typer(
    help="Telltale: see, trace and catch adversarial images.", add_completion=False, rich_markup_mode=None
)
program.add_typer(cases, name="cases")
program.add_typer(data, name="data")
program.add_typer(corrections, name="corrections")
program.add_typer(render, name="render")
for command in COMMANDS:
    program.command()(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; those of the process by default.

    Returns
    -------
    int
        Exit status.
    """
    hold_every_character()
    if not sys.warnoptions:  # stderr is for the one sentence
        warnings.simplefilter("ignore")
    command = typer.main.get_command(program)
    try:
        status = command.main(
            args=list(arguments) if arguments is not None else None,
            prog_name=typed_name(),
            standalone_mode=False,
        )
    except TelltaleError as error:
        return _complain(str(error), BAD_INPUT)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("Interrupted.", INTERRUPTED)
    except OSError as error:
        return _complain(f"'{error.filename}' cannot be used: {error.strerror}.", BAD_INPUT)
    except Exception as error:
        # The argument parser's own errors are told by what they can do: its classes are not public in every version.
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            return _complain(error.format_message(), BAD_INPUT)
        return _complain(f"Telltale failed: {type(error).__name__}: {error}", FAULT)
    return status if isinstance(status, int) else 0


def typed_name() -> str:
    """Return what the person has typed to start this program, for its usage lines."""
    return "python -m telltale" if Path(sys.argv[0]).name == "__main__.py" else "telltale"


def _complain(message: str, status: int) -> int:
    sys.stderr.write(" ".join(message.split()) + "\n")
    return status
