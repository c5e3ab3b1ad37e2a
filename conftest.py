"""Fixtures for every test of the workspace; see `loopwright_local.testing`."""

pytest_plugins = ["loopwright_local.testing"]
