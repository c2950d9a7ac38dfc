"""Prints requirements.lock: the exact versions, in this environment, of all that `stepward[dev]` needs."""

import re
from importlib import metadata

from packaging.requirements import Requirement


def closure(name: str, extras: frozenset[str], found: dict[str, str]) -> None:
    """Adds a package's installed requirements, and theirs, to `found`."""
    for text in metadata.requires(name) or []:
        requirement = Requirement(text)
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}
        )
        key = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if not wanted:
            continue
        if key == "stepward":
            closure("stepward", frozenset(requirement.extras), found)
        elif key not in found:
            # A local part such as +cpu says which build was tested; any build of the version will do.
            found[key] = metadata.version(requirement.name).partition("+")[0]
            closure(requirement.name, frozenset(requirement.extras), found)


packages: dict[str, str] = {}
closure("stepward", frozenset({"dev"}), packages)
print("# The tested set. Made by `make lock`; installed by `make setup`.")
for package, version in sorted(packages.items()):
    print(f"{package}=={version}")
