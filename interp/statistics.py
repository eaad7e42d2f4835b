"""The former place of `interp.core.statistics`, kept for one version."""

from interp.core.statistics.association import *  # noqa: F403
from interp.core.statistics.intervals import *  # noqa: F403
from interp.core.statistics.significance import *  # noqa: F403
