"""The commit codec: one spelling, everything else refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from store_factories import EPOCH, WORKSPACE, make_provenance

from yoi_bundles.errors import (
    InvalidInputError,
    MalformedBundleError,
    TooLargeError,
    UnsupportedDeclarationError,
)
from yoi_bundles.model.ids import CommitId, Digest
from yoi_bundles.model.limits import Limits
from yoi_bundles.store.tree.commits import (
    encode_commit,
    hash_commit,
    normalise_message,
    parse_commit,
)

DIGEST = Digest("ab" * 32)
PARENT = CommitId("cd" * 32)
SIGNATURE = b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----"


def make_commit(**changes):
    provenance = make_provenance(**changes.pop("provenance", {}))
    return encode_commit(
        **{
            "digest": DIGEST,
            "parent": PARENT,
            "workspace": WORKSPACE,
            "number": 7,
            "created_at": datetime.fromtimestamp(EPOCH, UTC),
            "provenance": provenance,
            "message": "Subject\n\nBody.",
            **changes,
        }
    )


def test_a_commit_is_spelt_as_the_format_document_says():
    assert make_commit().decode() == (
        f"tree {DIGEST}\nparent {PARENT}\n"
        "author Ann Example <ann@example.org> 1700000000 +0000\n"
        "committer Ann Example <ann@example.org> 1700000000 +0000\n"
        "\nSubject\n\nBody.\n\n"
        "Bundle-Schema: 1\nBundle-Workspace: team-a\nBundle-Revision: 7\n"
        "Source-Kind: directory\nSource-Uri: conf\n"
        "Published-By: Ann Example <ann@example.org>\nBuilt-With: yoi-bundles 0.1.0\n"
    )


@pytest.mark.parametrize("parent", [None, PARENT])
@pytest.mark.parametrize("signature", [None, SIGNATURE])
@pytest.mark.parametrize(
    "provenance",
    [
        {},
        {"source_revision": "f" * 40, "source_dirty": True, "source_kind": "git"},
        {"source_dirty": False, "published_by": "robot"},
        {"published_by": "J\u00fcrgen <>", "source_uri": "https://example.org/x: y"},
    ],
)
def test_what_was_encoded_is_parsed_back(parent, signature, provenance):
    raw = make_commit(parent=parent, signature=signature, provenance=provenance)
    parsed = parse_commit(raw)
    revision = parsed.revision
    assert revision.commit == hash_commit(raw)
    assert (revision.digest, revision.parent, revision.number) == (DIGEST, parent, 7)
    assert revision.provenance == make_provenance(**provenance)
    assert revision.message == "Subject\n\nBody."
    assert revision.is_signed is (signature is not None)
    assert parsed.signature == signature
    assert parsed.payload == make_commit(parent=parent, provenance=provenance)


@pytest.mark.parametrize("number", [0, -1, 2**53])
def test_no_number_is_written_that_cannot_be_read_back(number):
    """A history at the highest number ends; its head stays readable."""
    assert parse_commit(make_commit(number=2**53 - 1)).revision.number == 2**53 - 1
    with pytest.raises(InvalidInputError, match="no room"):
        make_commit(number=number)


def test_a_name_without_an_address_gets_an_empty_one():
    assert b"author robot <> 1700000000 +0000\n" in make_commit(
        provenance={"published_by": "robot"}
    )


def test_time_is_kept_in_utc_and_whole_seconds():
    there = datetime.fromtimestamp(EPOCH, timezone(timedelta(hours=9))) + timedelta(microseconds=9)
    assert make_commit(created_at=there) == make_commit()


def test_an_empty_message_gets_a_subject():
    assert parse_commit(make_commit(message=" \n ")).revision.message == (
        "Publish revision 7 of team-a"
    )


def test_messages_are_normalised():
    assert normalise_message("\r\n a \r\n\n\nb\t\n\n") == " a\n\n\nb"


@pytest.mark.parametrize(
    "message",
    [
        "Subject\n\nBundle-Revision: 9",
        "bundle-schema : 1",
        "S\n\nSource-Anything: x\nmore",
        "S\n\nPublished-By: me\n\nlast paragraph",
        "S\n\n# ------------------------ >8 ------------------------\nrest",
        "nul\0",
        "escape\x1b[31m",
        "c1 control \x9b31m",
        "bidi \u202egnihton",
        "isolate \u2066x",
        "tag \U000e0041",
        "\ufeffbyte order mark",
    ],
)
def test_messages_that_could_pass_for_trailers_or_hide_them_are_refused(message):
    with pytest.raises(InvalidInputError) as caught:
        make_commit(message=message)
    assert caught.value.code == "invalid_input"


@pytest.mark.parametrize(
    "changes",
    [
        {"provenance": {"published_by": "<only@mail>"}},
        {"provenance": {"published_by": "a <b"}},
        {"provenance": {"published_by": " a <b@c>"}},
        {"provenance": {"published_by": "a <b> c"}},
        {"provenance": {"source_uri": "x "}},
        {"provenance": {"built_with": " x"}},
        {"provenance": {"built_with": "tool \U000e0041"}},
        {"created_at": datetime.fromtimestamp(-1, UTC)},
        {"created_at": datetime(2024, 1, 1)},
    ],
)
def test_values_that_git_would_read_otherwise_are_refused(changes):
    with pytest.raises(InvalidInputError):
        make_commit(**changes)


GOOD = make_commit()


def replaced(old, new):
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\n",
        GOOD + b"Signed-off-by: x\n",
        GOOD + b"Bundle-Extra: x\n",
        GOOD + b"Bundle-Channel: stable\n",
        GOOD + b"Built-With: other\n",
        replaced(b"tree ab", b"tree AB"),
        replaced(b"tree ab", b"tree  ab"),
        replaced(b"\nparent ", b"\nparent " + b"0" * 64 + b"\nparent "),
        replaced(b"\nauthor", b"\nencoding UTF-8\nauthor"),
        replaced(b"\n\nSubject", b"\ngpgsig abc\n\nSubject"),
        replaced(b"\n\nSubject", b"\ngpgsigx-sha256 abc\n\nSubject"),
        replaced(b"\n\nSubject", b"\ngpgsig-sha256 a\ngpgsig-sha256 b\n\nSubject"),
        replaced(b"\ncommitter", b"\ngpgsig-sha256 a\ncommitter"),
        replaced(b"\n\nSubject", b"\nmergetag x\n\nSubject"),
        replaced(b"1700000000 +0000", b"1700000000 +0100"),
        replaced(b"1700000000 +0000", b"01700000000 +0000"),
        replaced(b"1700000000 +0000", b"-1 +0000"),
        replaced(b"1700000000 +0000", b"999999999999 +0000"),
        replaced(b"committer Ann", b"committer Bob"),
        replaced(b"author Ann Example", b"author Eve Example"),
        replaced(b"Subject", b"Sub\0ject"),
        replaced(b"Subject", b"Sub\xffject"),
        replaced(b"Subject", b"Sub\rject"),
        replaced(b"Subject", b"Subject "),
        replaced(b"Body.", b"Bundle-Revision: 9"),
        replaced(b"Bundle-Revision: 7", b"Bundle-Revision: 07"),
        replaced(b"Bundle-Revision: 7", b"Bundle-Revision: -7"),
        replaced(b"Bundle-Revision: 7", b"Bundle-Revision: 0"),
        replaced(b"Bundle-Revision: 7", b"Bundle-Revision:7"),
        replaced(b"Bundle-Revision: 7", b"Bundle-Revision: 9999999999999999"),
        replaced(b"Bundle-Revision: 7\n", b""),
        replaced(b"Bundle-Schema: 1\n", b""),
        replaced(b"Bundle-Workspace: team-a", b"Bundle-Workspace: Team A"),
        replaced(b"Source-Kind: directory", b"Source-Kind: other"),
        replaced(b"Source-Kind: directory", b"Source-Dirty: maybe\nSource-Kind: directory"),
        replaced(b"Source-Uri: conf", b"Source-Uri: "),
        replaced(b"Subject\n\nBody.\n\n", b""),
        replaced(b"+0000\n\nSubject", b"+0000\nSubject"),
    ],
)
def test_any_other_spelling_is_malformed(raw):
    with pytest.raises(MalformedBundleError) as caught:
        parse_commit(raw)
    assert caught.value.code == "malformed_bundle"


def test_another_schema_is_unsupported():
    with pytest.raises(UnsupportedDeclarationError) as caught:
        parse_commit(replaced(b"Bundle-Schema: 1", b"Bundle-Schema: 2"))
    assert caught.value.code == "unsupported_declaration"


def test_the_size_of_a_commit_is_bounded():
    with pytest.raises(TooLargeError) as caught:
        parse_commit(make_commit(message="x" * 2000), Limits(commit_bytes=2000))
    assert caught.value.facts["limit_name"] == "commit_bytes"
