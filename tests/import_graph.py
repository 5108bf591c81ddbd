"""Which modules a file imports when it is imported itself, and circles among such imports.

Imports inside functions and those for type checkers alone do not count.
"""

import ast


def _statements(body):
    """The imports that run when a module is imported, those in branches included."""
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.If):
            checker = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            script = isinstance(node.test, ast.Compare) and "__main__" in ast.dump(node.test)
            yield from _statements(node.orelse if checker or script else node.body + node.orelse)
        elif isinstance(node, ast.Try):
            yield from _statements(node.body + node.orelse + node.finalbody)
        elif isinstance(node, (ast.With, ast.For, ast.While)):
            yield from _statements(node.body)


def imported(path, known):
    """The names among `known` (modules by their full names) that the file imports."""
    found = set()
    with open(path, encoding="utf-8") as f:
        tree = ast.parse(f.read())
    for node in _statements(tree.body):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in known}
        elif node.module in known:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & set(known)
            if inner - set(known):
                found.add(node.module)
    return found


def circle(arrows):
    """Some circle among `arrows` (from → to's), as a list that ends where it begins, or None."""
    done = set()

    def visit(at, way):
        if at in way:
            return [*way[way.index(at) :], at]
        if at in done:
            return None
        for to in sorted(arrows.get(at, ())):
            found = visit(to, [*way, at])
            if found:
                return found
        done.add(at)
        return None

    return next((found for found in (visit(at, []) for at in sorted(arrows)) if found), None)
