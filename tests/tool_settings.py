"""Django settings for tools that only look at the code (mypy's plugin)."""

import tests.environment  # noqa: F401  # the configuration must be there first
from turtle_site.settings import *  # noqa: F403
