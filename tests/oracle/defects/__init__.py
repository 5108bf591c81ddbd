"""Defects that the comparison must catch: each a small edit of the engine's source.

They are the mistakes that an engine written from the documentation, from another framework's habits
or in a hurry would have. An edit whose text is no longer in the file is a failure, not a skip.
Every module here that has a table DEFECTS adds to them.
"""

import importlib
import pkgutil

_modules = [
    importlib.import_module("defects." + found.name)
    for found in sorted(pkgutil.iter_modules(__path__), key=lambda found: found.name)
]
DEFECTS = [defect for module in _modules for defect in getattr(module, "DEFECTS", ())]
