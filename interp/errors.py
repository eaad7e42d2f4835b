"""The former place of `interp.core.errors`, kept for one version."""

from interp.core.errors import *  # noqa: F403
