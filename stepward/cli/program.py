"""The command line's program: its options, what becomes of an error, and how a line is said."""

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from stepward import __version__
from stepward.credentials import holds_secret, redacted
from stepward.errors import StepwardError


class _Stopped(Exception):
    """Ctrl-C, carried past typer, which would end the program without a word."""


class _Group(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # Here, before typer repeats in an error what it can't use.
        if holds_secret(args):
            raise StepwardError(
                "a key stands on the command line, where other users and the shell's history can see it; put it in an "
                "environment variable and give that one's name: --key NAME, or key: NAME in a recipe",
                code="bad_value",
            )
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _Stopped from error


app = typer.Typer(
    cls=_Group,
    help="Reward models for step-by-step reasoning: build, train, measure and use them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_errors = Console(stderr=True)


def _say_version(asked: bool) -> None:
    if asked:
        echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Options of every verb."""
    if debug:
        os.environ["STEPWARD_DEBUG"] = "1"


def main() -> None:
    """Runs the command line; an error the user can mend is one message, and exit code 1."""
    warnings.showwarning = _warn
    sys.exit(_run_command(app))


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Says a warning without the line of code that gave it."""
    _errors.print(f"[yellow]stepward:[/] {escape(redacted(str(message)))}", highlight=False, soft_wrap=True)


def _run_command(command: Callable[[], Any]) -> int:
    """Runs a command and gives its exit code; typer itself says what is wrong with the usage, and ends with 2."""
    try:
        command()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except StepwardError as error:
        return _print_error(f"{error} [{error.code}]", 1)
    except _Stopped:
        return _print_error("stopped; what is finished is kept, run the same command again to go on", 130)
    except Exception as error:
        first, *rest = str(error).splitlines() or [""]
        text = f"{first[:500]}{' ...' if rest or len(first) > 500 else ''}"
        return _print_error(f"unforeseen {type(error).__name__}: {text} (see it all with: stepward --debug ...)", 1)
    return 0


def _print_error(message: str, code: int) -> int:
    if os.environ.get("STEPWARD_DEBUG"):
        print(redacted(traceback.format_exc()), end="", file=sys.stderr)
    _errors.print(f"[bold red]stepward:[/] {escape(redacted(message))}", highlight=False, soft_wrap=True)
    return code


def echo(text: str) -> None:
    """Prints a line as it is: in a log a sentence stays on one line."""
    Console().print(escape(text), highlight=False, soft_wrap=True)
