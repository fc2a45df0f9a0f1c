"""Lets tools that look for a `setup.py` install the package; everything about it is said in `pyproject.toml`."""

from setuptools import setup

setup()
