# SPDX-License-Identifier: LGPL-2.1-or-later
"""Interfaces and routes, beside qemu-ga, in a network namespace of the test's own."""

import ipaddress
import json
import subprocess

import pytest

SETUP = """set -e
ip link set lo up
ip link add left type veth peer name right
ip link set left address 52:54:00:12:34:56
ip addr add 10.9.0.1/24 dev left
ip addr add 10.9.0.2/25 dev left
ip addr add 192.168.77.1 peer 192.168.77.2 dev right
ip -6 addr add fd00::1/64 dev left nodad
ip link set left up
ip link set right up
ip route add default via 10.9.0.254 metric 100
ip route add 10.1.0.0/16 via 10.9.0.253 mtu 1400 window 5000 rtt 200ms
ip route add 10.2.3.4 dev left
ip route add blackhole 10.3.0.0/16
ip -6 route add default via fd00::fe metric 50
exec "$@"
"""
PREFIX = ("unshare", "-n", "sh", "-c", SETUP, "sh")


@pytest.fixture(name="pair")
def in_a_network_namespace(pair):
    for agent in pair.agents.values():
        agent.stop()
        agent.start(prefix=PREFIX)
    return pair


@pytest.fixture(name="ours")
def quiesced_in_a_network_namespace(agent):
    agent.start(prefix=PREFIX)
    return agent


def told(agent, *words):
    """What ip(8) tells of the agent's namespace."""
    words = ["nsenter", "-n", "-t", str(agent.pid), "ip", "-j", *words]
    return json.loads(subprocess.run(words, check=True, capture_output=True, timeout=20).stdout or "[]")


def comparable(interfaces):
    """Without what each namespace has of its own: link-local addresses, counters."""
    return {i["name"]: (i.get("hardware-address") if i["name"] != "right" else None,
                        sorted((a["ip-address"], a["prefix"], a["ip-address-type"])
                               for a in i.get("ip-addresses", []) if not a["ip-address"].startswith("fe80")),
                        sorted(i.get("statistics", {})))
            for i in interfaces}


def test_the_same_interfaces_addresses_and_counters(pair):
    answers = pair.ask("guest-network-get-interfaces")
    ours = comparable(answers["quiesced"].value)
    assert ours == comparable(answers["qemu-ga"].value)
    assert ours["left"][0] == "52:54:00:12:34:56"
    assert ("fd00::1", 64, "ipv6") in ours["left"][1] and ("10.9.0.2", 25, "ipv4") in ours["left"][1]
    assert ("192.168.77.1", 32, "ipv4") in ours["right"][1]


def test_the_counters_are_the_kernels(ours):
    ping = ["nsenter", "-n", "-t", str(ours.pid), "/usr/bin/python3", "-c",
            "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "for _ in range(7): s.sendto(b'x' * 100, ('127.0.0.1', 9))"]
    before = {i["name"]: i["statistics"] for i in ours.call("guest-network-get-interfaces")}["lo"]
    subprocess.run(ping, check=True, timeout=20)
    after = {i["name"]: i["statistics"] for i in ours.call("guest-network-get-interfaces")}["lo"]
    assert after["tx-packets"] - before["tx-packets"] >= 7
    assert after["rx-bytes"] - before["rx-bytes"] >= 7 * 128


def test_the_routes_are_those_of_the_main_table(ours):
    routes = ours.call("guest-network-get-route")
    for version, words in ((4, ()), (6, ("-6",))):
        kernel = told(ours, *words, "route", "show", "table", "main")
        mine = [route for route in routes if route["version"] == version]
        assert len(kernel) == len(mine) > 2
        for theirs, route in zip(kernel, mine):
            wanted = "::/0" if version == 6 else "0.0.0.0/0"
            network = ipaddress.ip_network(wanted if theirs["dst"] == "default" else theirs["dst"])
            mask = route["desprefixlen"] if version == 6 else route["mask"]
            assert ipaddress.ip_network(f"{route['destination']}/{mask}") == network
            assert route["iface"] == theirs.get("dev", "*")
            assert route["metric"] == theirs.get("metric", 0)
            none = "::" if version == 6 else "0.0.0.0"
            assert route["nexthop" if version == 6 else "gateway"] == theirs.get("gateway", none)


def test_a_routes_metrics_and_flags(ours):
    routes = {route["destination"]: route for route in ours.call("guest-network-get-route")}
    up, gateway, host, reject = 1, 2, 4, 0x200  # linux/route.h
    assert routes["10.1.0.0"].items() >= {"mtu": 1400, "window": 5000, "irtt": 200, "flags": up | gateway}.items()
    assert routes["10.2.3.4"]["flags"] == up | host
    assert routes["10.3.0.0"]["flags"] == up | reject
    assert routes["0.0.0.0"]["flags"] == up | gateway


def test_a_route_of_several_hops_shows_the_first(ours):
    add = ["nsenter", "-n", "-t", str(ours.pid), "ip", "route", "add"]
    subprocess.run([*add, "10.4.0.0/16", "nexthop", "via", "10.9.0.251", "dev", "left",
                    "nexthop", "via", "10.9.0.252", "dev", "left"], check=True, timeout=20)
    routes = {route["destination"]: route for route in ours.call("guest-network-get-route")}
    assert routes["10.4.0.0"].items() >= {"gateway": "10.9.0.251", "iface": "left", "flags": 3}.items()


def test_a_namespace_without_anything(agent):
    agent.start(prefix=("unshare", "-n"))
    (only,) = agent.call("guest-network-get-interfaces")
    assert only["name"] == "lo" and "ip-addresses" not in only
    assert agent.call("guest-network-get-route") == []
