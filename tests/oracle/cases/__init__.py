"""All cases: one module per family of layer types, each with a table TYPES of type → generator.

A generator takes (number, choice) and returns one case; `choice` is seeded by type and number, so
the cases are the same on every machine. To add a layer type, add its generator to a family's TYPES;
every module here that has a TYPES is a family, in alphabetical order. A family's COUNT, where it
has one, is its number of cases per type.
"""

import importlib
import pkgutil
from collections import OrderedDict

from cases.make import Choice

_modules = [
    importlib.import_module("cases." + found.name)
    for found in sorted(pkgutil.iter_modules(__path__), key=lambda found: found.name)
]
FAMILIES = OrderedDict(
    (module.__name__.split(".")[-1], module) for module in _modules if hasattr(module, "TYPES")
)
CASES_PER_TYPE = 40


def types():
    """Every compared type, in order."""
    return [kind for module in FAMILIES.values() for kind in module.TYPES]


def of_type(kind):
    """The cases of one type."""
    for module in FAMILIES.values():
        if kind in module.TYPES:
            count = getattr(module, "COUNT", CASES_PER_TYPE)
            return [module.TYPES[kind](n, Choice(kind, n)) for n in range(count)]
    raise KeyError("no cases for type {!r}; types: {}".format(kind, ", ".join(types())))


def select(kinds=None):
    """The cases of the given types, or all."""
    return [case for kind in kinds or types() for case in of_type(kind)]
