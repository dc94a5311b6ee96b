"""Paperlark: mail digests of the research papers trending in what each reader cares about."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("paperlark")
except PackageNotFoundError:  # a bare checkout on PYTHONPATH
    __version__ = "0.0.0"
