"""Entry point of the command `tfadt`."""

from __future__ import annotations

import errno
import sys
import warnings
from typing import Annotated, Any

import typer

from tfadt._version import __version__
from tfadt.cli import config, denoise, drift, evaluate, export, ingest, noise, push, recommend, run, study, tune, verify
from tfadt.cli.console import print_error
from tfadt.cli.pipeline import app as pipeline
from tfadt.cli.settings_hint import SetCommand
from tfadt.errors import InterruptedRunError, TfadtError, first_line, printable

_LINES = "\n\t"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

app = typer.Typer(
    name="tfadt",
    help="Denoising training for recommenders that learn from clicks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tfadt {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_print_version)] = False,
) -> None:
    del version


app.command("run", cls=SetCommand)(run.run)
app.command("config")(config.config)
app.command("ingest")(ingest.ingest)
app.command("evaluate")(evaluate.evaluate)
app.command("recommend")(recommend.recommend)
app.command("denoise")(denoise.denoise)
app.command("drift")(drift.drift)
app.command("study", cls=SetCommand)(study.study)
app.command("tune", cls=SetCommand)(tune.tune)
app.command("export")(export.export)
app.command("verify")(verify.verify)
app.command("push")(push.push)
app.add_typer(pipeline.app, name="pipeline")
app.add_typer(noise.app, name="noise")


def main() -> None:
    """Runs the command; exit code 0 when all of it worked, 2 with one clear sentence for bad input.

    A run that a signal stopped exits with 128 + the signal's number, as shells have it.
    """
    warnings.showwarning = _show_warning
    try:
        app()
    except InterruptedRunError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except TfadtError as error:
        print_error(str(error))
        sys.exit(2)
    except MemoryError as error:
        print_error(f"There is not enough memory ({str(error) or 'no size given'}): lower the sizes in the configuration.")
        sys.exit(2)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        print_error(f"{error.filename or 'The output'} cannot be written: {error.strerror}.")
        sys.exit(2)
    except Exception as error:
        # TensorFlow's own word for it; its class is not to be had without importing TensorFlow.
        if type(error).__name__ != "ResourceExhaustedError":
            raise
        print_error(f"There is not enough memory ({first_line(error)}): lower the sizes in the configuration.")
        sys.exit(2)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Prints a warning as one line, without the line of code that it comes from."""
    print(f"Warning: {printable(str(message), _LINES)}", file=sys.stderr)


if __name__ == "__main__":
    main()
