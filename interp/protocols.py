"""The former place of `interp.core.protocols`, kept for one version."""

from interp.core.protocols import *  # noqa: F403
