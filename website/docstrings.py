"""An extension of griffe, which reads the docstrings: a section may be called `Example`, with a single one."""

from typing import Any

import griffe


class Example(griffe.Extension):
    """Calls the section as griffe's parser of Google's style does."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Changes the docstring of an object, before it is parsed."""
        if obj.docstring:
            lines = obj.docstring.value.split("\n")
            obj.docstring.value = "\n".join("Examples:" if line == "Example:" else line for line in lines)
