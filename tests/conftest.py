"""What several rooms' tests need."""

from types import SimpleNamespace
from typing import Any

import aioresponses.core
import pytest
from aiohttp import ClientResponse


class _ClientResponse(ClientResponse):
    """aioresponses 0.7.9 leaves out an argument that aiohttp 3.14 demands (its issue 289)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **kwargs)


@pytest.fixture(autouse=True)
def _aioresponses_fits_aiohttp(monkeypatch):
    monkeypatch.setattr(aioresponses.core, "ClientResponse", _ClientResponse)
