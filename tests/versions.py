"""Fails if a version of Lightning is installed that was uploaded with malware; `make check` begins with it.

It imports nothing but Python's own: an import of such a version would run the malware.
"""

import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions

MALICIOUS = {(name, version) for name in ("lightning", "pytorch-lightning") for version in ("2.6.2", "2.6.3")}


def malicious(installed: Iterable[Distribution]) -> list[str]:
    """Those of some distributions that are malicious, as `name version`."""
    found = {(str(one.metadata["Name"]).lower().replace("_", "-"), one.version) for one in installed}
    return sorted(" ".join(pair) for pair in found & MALICIOUS)


if __name__ == "__main__":
    if found := malicious(distributions()):
        sys.exit(f"{', '.join(found)}: this upload was malicious; change every password that this machine knows")
