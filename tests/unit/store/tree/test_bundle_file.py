"""The header of a bundle file."""

import io

import pytest

from yoi_bundles.errors import MalformedBundleError, TooLargeError
from yoi_bundles.model.ids import CommitId
from yoi_bundles.model.limits import Limits
from yoi_bundles.store import encode_bundle_header, read_bundle_header

TIP, BASE = CommitId("11" * 32), CommitId("22" * 32)
START = b"# v3 git bundle\n@object-format=sha256\n"
REF = b"%s refs/heads/main\n" % TIP.hex_ascii


@pytest.mark.parametrize("prerequisites", [(), (BASE,), (BASE, CommitId("33" * 32))])
def test_a_header_round_trips_and_leaves_the_stream_at_the_pack(prerequisites):
    raw = encode_bundle_header(TIP, prerequisites)
    stream = io.BytesIO(raw + b"PACK")
    header = read_bundle_header(stream)
    assert (header.target, header.prerequisites) == (TIP, prerequisites)
    assert header.size_bytes == len(raw)
    assert stream.read() == b"PACK"


def test_a_prerequisite_may_carry_a_comment():
    raw = START + b"-%s R\xc3\xa9vision 1\n" % BASE.hex_ascii + REF + b"\n"
    assert read_bundle_header(io.BytesIO(raw)).prerequisites == (BASE,)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"# v2 git bundle\n" + REF + b"\n",
        b"# v3 git bundle\n" + REF + b"\n",
        b"# v3 git bundle\n@object-format=sha1\n" + REF + b"\n",
        START + b"@object-format=sha256\n" + REF + b"\n",
        START + b"@filter=blob:none\n" + REF + b"\n",
        START + REF,
        START + REF[:-1],
        START + b"\n",
        START + REF + REF + b"\n",
        START + REF + b"-" + BASE.hex_ascii + b"\n\n",
        START + REF + b"@object-format=sha256\n\n",
        START + b"-xyz\n" + REF + b"\n",
        START + b"-" + BASE.hex_ascii.replace(b"2", b"A") + b"\n" + REF + b"\n",
        START + (b"-" + BASE.hex_ascii + b"\n") * 2 + REF + b"\n",
        START + TIP.hex_ascii + b"\n\n",
        START + TIP.hex_ascii + b" refs/tags/v1\n\n",
        START + TIP.hex_ascii + b" HEAD\n\n",
        START + TIP.hex_ascii + b" refs/heads/a b\n\n",
        START + TIP.hex_ascii[:40] + b" refs/heads/main\n\n",
        START + REF.replace(b"\n", b"\r\n") + b"\r\n\n",
    ],
)
def test_other_headers_are_malformed(raw):
    with pytest.raises(MalformedBundleError) as caught:
        read_bundle_header(io.BytesIO(raw))
    assert caught.value.code == "malformed_bundle"


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(header_line_bytes=50), "header_line_bytes"),
        (Limits(header_bytes=200), "header_bytes"),
        (Limits(prerequisites=2), "prerequisites"),
    ],
)
def test_the_header_is_bounded(limits, name):
    raw = encode_bundle_header(TIP, [CommitId(f"{i:064x}") for i in range(3)])
    with pytest.raises(TooLargeError) as caught:
        read_bundle_header(io.BytesIO(raw), limits)
    assert caught.value.facts["limit_name"] == name
