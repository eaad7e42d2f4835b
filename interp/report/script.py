"""Whether Python that came with a report of others does no more than make results again."""

import ast

CALLED = {"print", "set", "float", "from_json"}
ROOTS = {"interp", "torch", "result"}
IMPORTED = {"interp", "torch", "interp.edits"}
ALLOWED = (
    ast.Module, ast.Import, ast.ImportFrom, ast.alias, ast.Assign, ast.Expr, ast.Name, ast.Load,
    ast.Store, ast.Call, ast.keyword, ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict,
    ast.Attribute, ast.UnaryOp, ast.USub,
)  # fmt: skip


def is_plain(code: str) -> bool:
    """Whether a script only imports interp and torch, calls them, and names what they give.

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
    if isinstance(node, ast.Import):
        return all(alias.name in IMPORTED for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return node.module in IMPORTED
    if isinstance(node, ast.Call):
        return _is_known(node.func)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id not in CALLED | {"interp", "torch"}
    return True


def _is_known(called: ast.expr) -> bool:
    """`interp.x`, `torch.x`, or one of the few plain functions; nothing deeper, nothing private."""
    if isinstance(called, ast.Name):
        return called.id in CALLED
    if not isinstance(called, ast.Attribute) or not isinstance(called.value, ast.Name):
        return False
    known = {"tensor"} if called.value.id == "torch" else None
    private = called.attr.startswith("_")
    return called.value.id in ROOTS and not private and (known is None or called.attr in known)
