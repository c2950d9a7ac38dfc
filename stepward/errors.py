"""The one exception that a user's mistake or a broken input raises; the command line prints it without a traceback.

A message may be reworded at any time. What a program or a test relies on is the `code` and the fields.
"""

from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal, get_args

Code = Literal[
    # Files and folders
    "file_not_found",  # a file or folder does not exist
    "file_exists",  # the output exists, or belongs to somebody else
    "unreadable",  # not what its name says: not JSON, cut short, damaged
    "unwritable",  # the system refuses to write: a full disc, no permission
    "unsafe_path",  # a path or a link leaves the folder it belongs to
    "locked",  # another process holds the folder
    "wrong_version",  # written under another schema
    # Rows, records and options
    "bad_rows",  # rows of a file can't be used: `faults` has each
    "missing",  # a field, row, record or argument is not given
    "wrong_type",  # text where a number is expected, and the like
    "bad_value",  # outside of what is allowed
    "not_finite",  # NaN or infinite
    "unknown_name",  # no such option, field, format, recipe
    "duplicate",  # the same id, key or name twice
    "mismatch",  # two things that have to agree do not
    "conflict",  # options that exclude each other
    "ambiguous",  # several readings are possible
    "empty",  # nothing to work on
    "too_few",  # less than the measurement or training needs
    "too_large",  # above a limit of size, depth or time
    "not_writable",  # a record that a format can't hold
    # Runs
    "changed",  # the recipe or an input differs from the one that wrote the folder
    "unfinished",  # an earlier stage or checkpoint is not there yet
    "degenerate",  # the result could not mean anything: all draws cut, labels of one class
    "too_many_failures",  # more failed than the allowed share
    "worker_died",  # a process or machine ended before its work was done
    "out_of_memory",  # the work does not fit
    # Models, libraries and servers
    "missing_dependency",  # a package or extra is not installed
    "unsupported",  # a model, tokenizer, platform or combination that Stepward can't handle
    "untrusted_code",  # code of a folder or hub that Stepward does not run
    "unreachable",  # a server or the hub does not answer
    "server_refused",  # a server answers with an error
    "server_incompatible",  # a server answers what Stepward can't use
]
"""What kind of thing is wrong; docs/errors.md explains each."""

CODES: tuple[str, ...] = get_args(Code)


class StepwardError(Exception):
    """Something the user can mend. The message names the file, row and field, what was expected, and how to mend it.

    Args:
        message: The message.
        code: What kind of thing is wrong.
        file: The file or folder at fault.
        row: The row at fault, from 1.
        field: The field, option or argument at fault, as the user writes it.
        faults: Each bad row, for the code `bad_rows`.

    Attributes:
        code: As above.
        file: As above, as text; None where no file is at fault.
        row: As above.
        field: As above.
        faults: As above.
    """

    def __init__(
        self,
        message: str,
        *,
        code: Code,
        file: str | PathLike[str] | None = None,
        row: int | None = None,
        field: str | None = None,
        faults: Sequence[Any] = (),
    ) -> None:
        super().__init__(message)
        self.code: Code = code
        self.file = None if file is None else str(file)
        self.row = row
        self.field = field
        self.faults = tuple(faults)

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors of workers cross process borders whole."""
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[StepwardError], args: tuple[Any, ...], fields: dict[str, Any]) -> StepwardError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error
