"""Fixtures for every test of the workspace; see `loopwright_local.testing`."""

from hypothesis import settings

pytest_plugins = ["loopwright_local.testing"]

# how long a test takes says nothing of what it claims, and the first example may compile
settings.register_profile("loopwright", deadline=None)
settings.load_profile("loopwright")
