"""The cells: each in a file of its own, with its equations, its layer and its registration."""

from importlib import import_module
from pkgutil import iter_modules

ORDER = ("rnn", "lstm", "gru")  # first in lists; then the others by name

_names = sorted(module.name for module in iter_modules(__path__))
for _name in [*ORDER, *(name for name in _names if name not in ORDER)]:
    import_module(f"{__name__}.{_name}")
