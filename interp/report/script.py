"""Whether Python that came with a report of others does no more than make results again."""

import ast

import torch

from interp.results.registry import instruments

CALLED = {"print", "set", "float", "from_json"}
LOADED = {"load_model", "load_world"}
IMPORTED = {"interp", "torch"}
ALLOWED = (
    ast.Module, ast.Import, ast.ImportFrom, ast.alias, ast.Assign, ast.Expr, ast.Name, ast.Load,
    ast.Store, ast.Call, ast.keyword, ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict,
    ast.Attribute, ast.UnaryOp, ast.USub,
)  # fmt: skip


def is_plain(code: str) -> bool:
    """Whether a script only loads models and worlds, measures, draws, and names what that gives.

    Example:
        >>> is_plain("import interp\\nmodel = interp.load_model('x')"), is_plain("exit()")
        (True, False)
    """
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(isinstance(node, ALLOWED) and _is_harmless(node) for node in nodes)


def _is_harmless(node: ast.AST) -> bool:
    # Under a name of its own, or put in another's place, `torch.load` would look like a plain call.
    if isinstance(node, ast.Import):
        return all(alias.name in IMPORTED and alias.asname is None for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        names = [(alias.name, alias.asname) for alias in node.names]
        return (node.module, names) == ("interp.edits", [("from_json", None)])
    if isinstance(node, ast.Attribute):
        return isinstance(node.ctx, ast.Load) and (_is_known(node) or _is_dtype(node))
    if isinstance(node, ast.Call):
        return _is_known(node.func)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id not in CALLED | {"interp", "torch"}
    return True


def _is_dtype(node: ast.Attribute) -> bool:
    of_torch = isinstance(node.value, ast.Name) and node.value.id == "torch"
    return of_torch and isinstance(getattr(torch, node.attr, None), torch.dtype)


def _is_known(called: ast.expr) -> bool:
    """An instrument, a loader, `torch.tensor`, `result.figure` or one of the plain functions.

    Others are refused though they are public: `result.save` and `interp.train` write files.
    """
    if isinstance(called, ast.Name):
        return called.id in CALLED
    if not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
        return False
    of_root = {"interp": LOADED | set(instruments()), "torch": {"tensor"}, "result": {"figure"}}
    return called.attr in of_root.get(called.value.id, ())
