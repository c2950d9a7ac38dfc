"""The one exception that a user's mistake or a broken input raises; the command line prints it without a traceback."""


class StepwardError(Exception):
    """Something the user can mend. The message names the file, row and field, what was expected, and how to mend it."""
