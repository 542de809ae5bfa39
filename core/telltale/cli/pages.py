"""The command that serves the pages."""

from __future__ import annotations

from typing import Annotated

import typer

import telltale
from telltale.cli.server import HOST, PORT


def app(
    bundle: Annotated[str | None, typer.Option("--bundle", help="A bundle's name or folder, to show first.")] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to serve at.")] = PORT,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; 0.0.0.0 for others on the network as well.")
    ] = HOST,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
) -> None:
    """Serve the pages on this machine and open them in the browser; Ctrl-C ends everything."""
    with telltale.app(bundle, port=port, host=host, browser=not no_browser) as server:
        status = server.wait()
    if status:
        raise typer.Exit(status)
