"""Finished runs that the tests of streams and of their readers share, each made once: see `test_streaming`."""

import pytest
from test_streaming import made


@pytest.fixture
def run(request, tmp_path_factory):
    return made(request.param, tmp_path_factory)


@pytest.fixture
def one(tmp_path_factory):
    return made("one", tmp_path_factory)


@pytest.fixture
def two(tmp_path_factory):
    return made("two", tmp_path_factory)


@pytest.fixture
def from_root(tmp_path_factory):
    return made("root", tmp_path_factory)


@pytest.fixture
def small(tmp_path_factory):
    return made("small", tmp_path_factory)
