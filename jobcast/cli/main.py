"""``jobcast``: each command is imported when it is asked for, as each needs another part installed."""

from __future__ import annotations

import importlib
from typing import Final

import click

from jobcast import __version__

#: Command → the extras it needs.
COMMANDS: Final = {
    "serve": "server",
    "token": "server",
    "doctor": "",
    "watch": "watch",
}


class Lazy(click.Group):
    """A group whose commands are modules of this package, each with a command of the module's name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command; raise ClickException, which says what to install, when a part is missing."""
        if cmd_name not in COMMANDS:
            return None
        try:
            module = importlib.import_module(f"jobcast.cli.{cmd_name}")
        except ModuleNotFoundError as error:
            if not COMMANDS[cmd_name] or (error.name or "").startswith("jobcast"):
                raise
            needed = f'pip install "jobcast[{COMMANDS[cmd_name]}]"'
            raise click.ClickException(f"{cmd_name} needs {error.name}: {needed}") from error
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line each, also for those whose part is not installed."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._help(ctx, name)) for name in COMMANDS])

    def _help(self, ctx: click.Context, name: str) -> str:
        try:
            command = self.get_command(ctx, name)
        except click.ClickException as error:
            return error.message
        return command.get_short_help_str() if command else ""


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="jobcast")
def main() -> None:
    """Live progress for background jobs."""
