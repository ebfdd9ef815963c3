"""Which hosts a run may reach: no spelling of a host, and no disguise of an address, is a way around the list."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiagentchat.core.isolation import Network
from aiagentchat.egress.rules import Reach, Target, is_public, may, parse, plain

API, ALLOWLIST, FULL = Network.API, Network.ALLOWLIST, Network.FULL
NOWHERE, PUBLIC, ANYWHERE = Reach.NOWHERE, Reach.PUBLIC, Reach.ANYWHERE
LISTED = ("pypi.org", "*.pythonhosted.org", "git.corp:8443", "10.0.0.1:80", "[fd00::1]:443", "localhost")


@pytest.mark.parametrize(
    ("host", "port", "network", "reach"),
    [
        pytest.param("pypi.org", 443, API, NOWHERE, id="api reaches no host, listed or not"),
        pytest.param("pypi.org", 443, ALLOWLIST, ANYWHERE, id="a listed name"),
        pytest.param("PyPI.ORG", 443, ALLOWLIST, ANYWHERE, id="in other letters"),
        pytest.param("pypi.org.", 443, ALLOWLIST, ANYWHERE, id="with its final dot"),
        pytest.param("pypi.org", 80, ALLOWLIST, ANYWHERE, id="a name without a port means 80, too"),
        pytest.param("pypi.org", 22, ALLOWLIST, NOWHERE, id="and no other port"),
        pytest.param("pypi.org", 22, FULL, PUBLIC, id="full opens every port, to the public"),
        pytest.param("evilpypi.org", 443, ALLOWLIST, NOWHERE, id="a longer name"),
        pytest.param("pypi.org.evil.com", 443, ALLOWLIST, NOWHERE, id="a name above it"),
        pytest.param("x.pypi.org", 443, ALLOWLIST, NOWHERE, id="a name below it"),
        pytest.param("files.pythonhosted.org", 443, ALLOWLIST, PUBLIC, id="below a pattern"),
        pytest.param("a.b.pythonhosted.org", 443, ALLOWLIST, PUBLIC, id="far below a pattern"),
        pytest.param("pythonhosted.org", 443, ALLOWLIST, NOWHERE, id="the name of a pattern itself"),
        pytest.param("evilpythonhosted.org", 443, ALLOWLIST, NOWHERE, id="a name that ends like a pattern"),
        pytest.param("git.corp", 8443, ALLOWLIST, ANYWHERE, id="a name with its port"),
        pytest.param("git.corp", 443, ALLOWLIST, NOWHERE, id="a name with another port"),
        pytest.param("10.0.0.1", 80, ALLOWLIST, ANYWHERE, id="a listed address"),
        pytest.param("10.0.0.1", 443, FULL, PUBLIC, id="a listed address on another port is like any other"),
        pytest.param("10.0.0.2", 80, ALLOWLIST, NOWHERE, id="its neighbour"),
        pytest.param("[FD00:0::1]", 443, ALLOWLIST, ANYWHERE, id="an IPv6 address in another spelling"),
        pytest.param("fd00::2", 443, ALLOWLIST, NOWHERE, id="another IPv6 address"),
        pytest.param("localhost", 80, FULL, ANYWHERE, id="this machine, when it is listed"),
        pytest.param("example.org", 443, ALLOWLIST, NOWHERE, id="an unlisted name"),
        pytest.param("example.org", 443, FULL, PUBLIC, id="an unlisted name, when all are open"),
        pytest.param("user@pypi.org", 443, FULL, NOWHERE, id="with a user"),
        pytest.param("pypi.org\0.evil.com", 443, FULL, NOWHERE, id="with a NUL"),
        pytest.param("", 443, FULL, NOWHERE, id="nothing"),
    ],
)
def test_a_host_is_reached_as_far_as_its_room_says(host: str, port: int, network: Network, reach: Reach) -> None:
    assert may(host, port, network, LISTED) is reach


def test_a_pattern_does_not_match_addresses() -> None:
    assert may("127.0.0.1", 80, ALLOWLIST, ("*.0.0.1", "*.1")) is NOWHERE


@pytest.mark.parametrize(
    ("text", "target"),
    [
        pytest.param("pypi.org:443", Target("pypi.org", 443), id="a name"),
        pytest.param("PyPI.org.:00443", Target("pypi.org", 443), id="in a spelling of its own"),
        pytest.param("[2606:4700:0::1]:80", Target("2606:4700::1", 80), id="an IPv6 address"),
        pytest.param("1.2.3.4:1", Target("1.2.3.4", 1), id="an IPv4 address"),
        pytest.param("my_host:80", Target("my_host", 80), id="an underscore"),
        pytest.param("xn--mnchen-3ya.de:80", Target("xn--mnchen-3ya.de", 80), id="another script, as it travels"),
    ],
)
def test_a_host_and_a_port_are_brought_into_their_plain_spelling(text: str, target: Target) -> None:
    assert parse(text) == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":443",
        "pypi.org",
        "pypi.org:",
        "pypi.org:0",
        "pypi.org:65536",
        "pypi.org:123456",
        "pypi.org:-1",
        "pypi.org:+80",
        "pypi.org:8 0",
        "pypi.org:４４３",
        "pypi.org:443:443",
        "pypi.org..:443",
        ".pypi.org:443",
        "pypi..org:443",
        "-pypi.org:443",
        "pypi.org-:443",
        "user@pypi.org:443",
        "user:secret@pypi.org:443",
        "pypi.org\0:443",
        "pypi.org\n:443",
        "pypi.org/x:443",
        "pypi.org\\x:443",
        "pypi.org?:443",
        "pypi.org#:443",
        "pypi%2eorg:443",
        "*.pypi.org:443",
        "münchen.de:443",
        "１２７.0.0.1:443",
        "127。0。0。1:443",
        "ⓛocalhost:443",
        "\u212aernel.org:443",
        "2130706433:80",
        "0x7f000001:80",
        "0x7f.0.0.1:80",
        "0177.0.0.1:80",
        "017700000001:80",
        "127.1:80",
        "127.0.1:80",
        "1.2.3.4.5:80",
        "256.0.0.1:80",
        "127.0.0.0x1:80",
        "a.0x:80",
        "a.1:80",
        "::1:80",
        "[::1:80",
        "::1]:80",
        "[::1]x:80",
        "x[::1]:80",
        "[[::1]]:80",
        "[::1%lo]:80",
        "[fe80::1%25eth0]:80",
        "[127.0.0.1]:80",
        "[pypi.org]:80",
        "[]:80",
        f"{'a' * 64}.org:80",
        f"{'a.' * 126}aa:80",
    ],
)
def test_what_could_be_meant_in_more_than_one_way_is_no_host(text: str) -> None:
    assert parse(text) is None


def test_a_port_that_is_not_said_is_the_default_where_there_is_one() -> None:
    assert parse("pypi.org", default_port=80) == Target("pypi.org", 80)
    assert parse("[::1]", default_port=80) == Target("::1", 80)


def test_a_target_is_written_with_brackets_where_it_needs_them() -> None:
    assert str(Target("pypi.org", 80)) == "pypi.org:80"
    assert str(Target("::1", 80)) == "[::1]:80"


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.9",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:8.8.8.8",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2002:c0a8:101::1",
        "2002:808:808::1",
        "2606:4700::5efe:127.0.0.1",
        "2606:4700::200:5efe:10.0.0.1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fe80::5efe:8.8.8.8",
        "2606:4700::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_an_address_of_this_machine_its_networks_or_its_cloud_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "100.128.0.1",
        "172.32.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2001:4860:4860::8888",
        "2606:4700::1",
        "2606:4700::5efe:8.8.8.8",
        "2a00:1450::1",
    ],
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


networks = st.sampled_from(Network)
entries = st.lists(st.sampled_from(LISTED) | st.text(max_size=12), max_size=4)
hosts = (
    st.text(max_size=20)
    | st.text(alphabet="aA1.-_0xX:[]%@*\0/ １", max_size=16)
    | st.ip_addresses().map(str)
    | st.sampled_from(["pypi.org", "x.pythonhosted.org", "git.corp", "localhost", "127.0.0.1", "[::1]"])
)
ports = st.integers(0, 70_000)


@given(hosts, ports, networks, entries)
@example("a.1", 80, FULL, ["*.1"])
def test_whatever_is_asked_for_there_is_one_answer(host: str, port: int, network: Network, listed: list[str]) -> None:
    reach = may(host, port, network, listed)

    assert reach is NOWHERE or (network is not API and plain(host) is not None)
    assert network is not FULL or (reach is NOWHERE) == (plain(host) is None)


@given(hosts, ports, entries)
def test_a_list_never_closes_what_is_open_without_it(host: str, port: int, listed: list[str]) -> None:
    order = [NOWHERE, PUBLIC, ANYWHERE]
    narrow, wide = may(host, port, ALLOWLIST, listed), may(host, port, FULL, listed)

    assert order.index(wide) >= order.index(narrow) >= order.index(may(host, port, ALLOWLIST, []))


@given(hosts)
def test_the_plain_spelling_is_its_own_and_leads_nowhere_else(host: str) -> None:
    name = plain(host)

    assert name is None or (plain(name) == name and name.isascii() and name == name.lower())


@given(hosts, ports)
def test_what_is_parsed_is_written_as_it_would_be_parsed(host: str, port: int) -> None:
    target = parse(f"{host}:{port}")

    assert target is None or parse(str(target)) == target


@given(hosts, ports, networks, entries)
def test_how_a_host_is_spelled_changes_nothing(host: str, port: int, network: Network, listed: list[str]) -> None:
    name = plain(host)

    assert name is None or may(host, port, network, listed) is may(name, port, network, listed)


@given(st.ip_addresses(v=4))
def test_no_disguise_makes_an_address_public(address: IPv4Address) -> None:
    packed = int(address)
    disguises = [
        IPv6Address((0xFFFF << 32) | packed),
        IPv6Address((0x64FF9B << 96) | packed),
        IPv6Address((0x26064700 << 96) | (0x5EFE << 32) | packed),
    ]

    assert {is_public(each) for each in disguises} == {is_public(address)}


@given(st.ip_addresses(v=4, network="127.0.0.0/8") | st.ip_addresses(v=4, network="169.254.0.0/16"))
def test_no_address_of_this_machine_or_link_is_public(address: IPv4Address) -> None:
    assert not is_public(address)


@given(st.ip_addresses())
def test_only_what_the_registries_call_global_is_public(address: IPv4Address | IPv6Address) -> None:
    assert not is_public(address) or address.is_global or address.version == 6
