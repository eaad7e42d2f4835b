"""The former place of `interp.core.edits`, kept for one version."""

from interp.core.edits import *  # noqa: F403
