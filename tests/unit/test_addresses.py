"""Which addresses stay on this machine, and which URLs may carry a secret."""

from contextlib import nullcontext

import pytest

from segwatch.addresses import is_host, is_loopback, split_url
from segwatch.errors import BadValue


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://hooks.example.test/in?key=1", True),
        ("http://127.0.0.1:8787/in", True),
        ("http://127.8.8.8/in", True),
        ("http://[::1]:8787/in", True),
        ("http://localhost/in", True),
        ("http://LOCALHOST/in", True),
        ("http://localhost./in", False),
        ("http://localhost.example.test/in", False),
        ("http://127.0.0.1.example.test/in", False),
        ("http://127.0.0.1@example.test/in", False),
        ("http://10.0.0.1/in", False),
        ("https://host:99999/in", False),
        ("https://a b/in", False),
        ("https:///in", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_tls_is_demanded_except_on_loopback(url, fine):
    with nullcontext() if fine else pytest.raises(BadValue, match="Write https://"):
        split_url(url)


def test_what_is_no_address_at_all_is_not_loopback():
    assert not is_loopback("")
    assert not is_loopback("0.0.0.0")


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("0.0.0.0", True),
        ("::", True),
        ("localhost", True),
        ("metrics-1.example.test.", True),
        ("300.0.0.1", False),
        ("127.1", False),
        ("7", False),
        ("::1::2", False),
        ("a..b", False),
        ("-a", False),
        ("", False),
    ],
)
def test_a_host_is_an_address_or_a_name(text, fine):
    assert is_host(text) is fine
