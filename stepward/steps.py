"""The one definition of a step: a non-empty line of a solution."""

SEPARATOR = "\n"


def split(text: str) -> tuple[str, ...]:
    """The steps of a solution's text: its non-empty lines, without trailing white space."""
    return tuple(line.rstrip() for line in text.split(SEPARATOR) if line.strip())


def join(steps: tuple[str, ...] | list[str]) -> str:
    """The text of the steps; `split(join(steps)) == steps` for steps that `split` gave."""
    return SEPARATOR.join(steps)
