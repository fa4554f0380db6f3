"""Host patterns: what a rule covers is never wider than the rule."""

from hypothesis import given
from hypothesis import strategies as st

from yoi_bundles.resolve.matching import covers_host

labels = st.sampled_from(["a", "b", "test", "evil"])
domains = st.lists(labels, min_size=1, max_size=4).map(".".join)
ports = st.sampled_from(["", ":443", ":8443", ":1"])
hosts = st.builds(lambda domain, port: domain + port, domains, ports)
patterns = st.builds(lambda star, host: star + host, st.sampled_from(["", "*."]), hosts)


def split(pattern):
    host, _, port = pattern.partition(":")
    return host, port or "443"


def stands_for(pattern, host):
    """Whether a concrete host is one of those a pattern means; written another way on purpose."""
    (wanted, port), (name, asked_port) = split(pattern), split(host)
    if port != asked_port:
        return False
    if not wanted.startswith("*."):
        return wanted == name
    suffix = wanted.removeprefix("*.").split(".")
    parts = name.split(".")
    return len(parts) > len(suffix) and parts[-len(suffix) :] == suffix


@given(patterns, patterns, hosts)
def test_covering_is_inclusion(rule, asked, host):
    if covers_host(rule, asked) and stands_for(asked, host):
        assert stands_for(rule, host)


@given(patterns, hosts)
def test_a_concrete_host_is_covered_exactly_if_it_is_meant(rule, host):
    assert covers_host(rule, host) == stands_for(rule, host)


@given(patterns, patterns, patterns)
def test_covering_is_transitive(one, two, three):
    if covers_host(one, two) and covers_host(two, three):
        assert covers_host(one, three)


@given(patterns)
def test_every_pattern_covers_itself_and_star_covers_all(pattern):
    assert covers_host(pattern, pattern)
    assert covers_host("*", pattern)
