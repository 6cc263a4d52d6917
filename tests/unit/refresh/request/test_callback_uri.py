"""The allowed callback URIs: the called host is the checked host."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from refresh.request.callback_uri import UriError, check_uri, host_of
from refresh.settings import Settings

CLOUD = Settings(callback_allowed_hosts=("azure.com", "hooks.example"))
LOCAL = Settings(callback_allowed_hosts=("azure.com", "127.0.0.1"), power_bi_api_url="http://127.0.0.1:7072")

ALLOWED = [
    "https://azure.com",
    "https://azure.com/",
    "https://a.azure.com/x/y?sp=1&sig=a%2Bb_c-d~e=",
    "https://A.B.Azure.COM:443/x",
    "HTTPS://a.azure.com/x",
    "https://a.azure.com?x=1",
    "https://hooks.example/@user:password@host/",
    "https://xn--bcher-kva.azure.com/x",
    "https://a.azure.com/x?to=https://evil.example/",
    "https://a.azure.com/workflows/1(2)/runs/[3]/x;y,z!*'$",
]
REFUSED = [
    "http://a.azure.com/x",
    "ftp://a.azure.com/x",
    "//a.azure.com/x",
    "a.azure.com/x",
    "https:a.azure.com/x",
    "https:/a.azure.com/x",
    "https:///a.azure.com/x",
    "https://",
    "https:///",
    # other hosts
    "https://evil.example/x",
    "https://evil-azure.com/x",
    "https://evilazure.com/x",
    "https://azure.com.evil.example/x",
    "https://azure.example/x",
    "https://com/x",
    "https://.azure.com/x",
    "https://a..azure.com/x",
    "https://-a.azure.com/x",
    "https://a-.azure.com/x",
    "https://azure.com./x",
    "https://a.azure.com../x",
    "https://azure.com%2e/x",
    "https://evil.example%2f.azure.com/x",
    "https://evil.example%23.azure.com/x",
    "https://evil_x.azure.com/x",
    "https://*.azure.com/x",
    # users, and texts that look like one
    "https://user@a.azure.com/x",
    "https://user:pw@a.azure.com/x",
    "https://a.azure.com@evil.example/x",
    "https://a.azure.com:443@evil.example/x",
    "https://a.azure.com:@evil.example/x",
    "https://@a.azure.com/x",
    # texts that parsers read differently
    "https://evil.example\\.azure.com/x",
    "https://evil.example\\@a.azure.com/x",
    "https://a.azure.com\\@evil.example/x",
    "https:\\\\a.azure.com/x",
    "https://evil.example#.azure.com/x",
    "https://evil.example/#a.azure.com",
    "https://a.azure.com/x#part",
    "https://evil.example?.azure.com/x",
    "https://evil.example;.azure.com/x",
    "https://a.azure.com/x y",
    "https://a.azure.com/x\r\nHost: evil.example",
    "https://a.azure.com\t/x",
    "https://a.azure.com/\x00",
    " https://a.azure.com/x",
    "https://a.azure.com/x\n",
    # letters that only look alike
    "https://a.\u0430zure.com/x",
    "https://a.azure\u3002com/x",
    "https://a.azure.com\uff0f.evil.example/x",
    "https://\u24d0zure.com/x",
    "https://a.azure.com/\u00e4",
    # addresses
    "https://10.0.0.1/x",
    "https://169.254.169.254/metadata",
    "https://127.0.0.1/x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0x7f.0.0.1/x",
    "https://0177.0.0.1/x",
    "https://[::1]/x",
    "https://[::ffff:10.0.0.1]/x",
    "https://[fe80::1%25eth0]/x",
    "https://localhost/x",
    # ports
    "https://a.azure.com:80/x",
    "https://a.azure.com:8443/x",
    "https://a.azure.com:0443/x",
    "https://a.azure.com:/x",
    "https://a.azure.com:44x/x",
    "https://a.azure.com:-443/x",
    "https://a.azure.com:999999/x",
    "https://a.azure.com/" + "x" * 4000,
]


@pytest.mark.parametrize("uri", ALLOWED)
def test_an_allowed_host_is_called(uri: str) -> None:
    """The called host is the checked host, even for the library that calls it."""
    assert check_uri(uri, CLOUD) == uri
    host = str(URL(uri, encoded=True).raw_host).lower()
    assert host == str(URL(uri).raw_host).lower() == host_of(uri)
    assert host == "hooks.example" or str(host).endswith("azure.com")


@pytest.mark.parametrize("uri", REFUSED)
@pytest.mark.parametrize("settings", [CLOUD, LOCAL], ids=["cloud", "local"])
def test_no_other_host_is_called(uri: str, settings: Settings) -> None:
    """A URI with another host is refused. The refusal shows only the host."""
    if settings is LOCAL and "//127.0.0.1" in uri:
        assert check_uri(uri, settings) == uri
        return
    with pytest.raises(UriError) as refusal:
        check_uri(uri, settings)
    assert "/x" not in str(refusal.value).replace("https://host/path", "")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:8080/x?a=1", "https://127.0.0.1/x", "http://127.0.0.1"])
def test_this_machine_is_called_in_development_only(uri: str) -> None:
    """This machine may be called if the service is also on this machine and the host is listed."""
    assert check_uri(uri, LOCAL) == uri
    for settings in (
        CLOUD,
        Settings(callback_allowed_hosts=("azure.com",), power_bi_api_url="http://127.0.0.1:7072"),
        Settings(callback_allowed_hosts=("localhost",), power_bi_api_url="http://127.0.0.1:7072"),
        Settings(callback_allowed_hosts=("127.0.0.1",), power_bi_api_url="https://api.example.test"),
        Settings(callback_allowed_hosts=("127.0.0.1",)),
    ):
        with pytest.raises(UriError):
            check_uri(uri, settings)


def test_a_subdomain_of_a_local_host_is_not_allowed() -> None:
    """`x.localhost` is a different name, to which any resolver may give an address."""
    settings = Settings(callback_allowed_hosts=("localhost",), power_bi_api_url="http://127.0.0.1:7072")
    for uri in ("http://x.localhost/", "https://x.localhost/", "http://1.127.0.0.1/"):
        with pytest.raises(UriError):
            check_uri(uri, settings)


@given(st.text(st.sampled_from(string.printable + "\u3002\uff0e\u00ad"), max_size=30))
def test_no_text_makes_the_library_call_another_host(middle: str) -> None:
    """Any text between the scheme and an allowed host is refused, or aiohttp calls the checked host."""
    uri = f"https://{middle}azure.com/"
    try:
        check_uri(uri, CLOUD)
    except UriError:
        return
    for url in (URL(uri), URL(uri, encoded=True)):
        host = url.raw_host or ""
        assert host == "azure.com" or host.endswith((".azure.com", "hooks.example"))
