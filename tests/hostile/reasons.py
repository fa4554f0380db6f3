"""Why each case is hostile, and why git sees it otherwise where it does; for `record.py`."""

from __future__ import annotations

import functools

from families import CASES, content, metadata, modes, paths, refs, trailers
from families.sizes import LIMITS

# Families of what git leaves to others; docs/hostile-corpus.md has a paragraph on each.
GAPS = {
    "container": "header",
    "refs": "refs",
    "prerequisites": "header",
    "pack": "extra-objects",
    "deltas": "limits",
    "graph": "history",
    "digest": "announced",
    "sizes": "limits",
    "bombs": "limits",
    "paths": "names",
    "modes": "modes",
    "metadata": "commits",
    "trailers": "commits",
    "content": "content",
}
OTHER_GAPS = {
    "container/pack-version-3": "encodings",
    "prerequisites/missing-though-needed": "reachability",
    "prerequisites/not-the-parent": "reachability",
    "prerequisites/base-beyond-the-prerequisite": "reachability",
    "prerequisites/blob-beyond-the-prerequisite": "reachability",
    "prerequisites/not-an-ancestor": "history",
    "pack/size-overlong-by-one": "encodings",
    "deltas/base-size-overlong": "encodings",
    "deltas/result-size-overlong": "encodings",
    "deltas/thin-base-in-a-full-bundle": "reachability",
    "graph/tip-is-below-the-newest-commit": "extra-objects",
    "graph/only-the-tree-is-new": "extra-objects",
    "graph/bad-tree-behind-a-good-tip": "modes",
    "bombs/zip-below-the-total": "extra-objects",
}

PACK = {
    "count-less-by-1": "The header counts one object less than there are.",
    "count-more-by-1": "The header counts one object more than there are.",
    "count-more-by-1000": "The header counts a thousand objects more than there are.",
    "count-zero": "The header counts no object and many follow.",
    "count-of-four-milliards": "The count asks for four milliard objects before any is read.",
    "checksum-wrong": "The checksum is not that of the pack.",
    "checksum-of-sha1-length": "The checksum has the length of SHA-1.",
    "junk-before-the-checksum": "Bytes stand behind the last object.",
    "junk-between-objects": "Bytes stand between two objects.",
    "object-twice": "One object comes twice, compressed in two ways.",
    "object-twice-as-delta": "One object comes twice, once as a delta on itself.",
    "stowaway-blob": "A file comes that nothing names.",
    "stowaway-tree": "A directory comes that nothing names.",
    "stowaway-commit": "A commit comes that no ref reaches.",
    "stowaway-tag": "A tag comes; no bundle has any.",
    "preset-dictionary": "The stream inflates only with a dictionary that nobody sent.",
    "size-zero": "The size says nothing is there.",
}
GRAPH = {
    "equivocation-on-the-same-parent": "The current number under another commit on its parent.",
    "tip-is-a-blob": "The ref names a file.",
    "tip-is-a-tree": "The ref names a directory.",
    "tip-is-a-tag": "The ref names a tag.",
    "number-of-its-parent": "A revision has the number of the one before.",
    "number-below-its-parent": "A revision has a lower number than the one before.",
    "numbers-that-fall-inside": "Numbers fall between two new revisions.",
    "another-workspace": "The commit is of another workspace.",
    "another-workspace-in-between": "A commit below the tip is of another workspace.",
    "merge": "A revision has two parents.",
    "same-parent-twice": "A revision names its parent twice.",
    "octopus-of-200": "A revision has 201 parents.",
}


def why(name: str) -> str:
    """One sentence on what is wrong with a case."""
    family, _, case = name.partition("/")
    build = CASES[name]
    document = getattr(build, "__doc__", None)
    if document and not isinstance(build, functools.partial):
        return " ".join(document.split("\n\n")[0].split())
    known = {"pack": PACK, "graph": GRAPH}.get(family, {}).get(case)
    return known or _of_series(name, family, case)


def _of_series(name: str, family: str, case: str) -> str:
    words = case.replace("-", " ")
    found = _of_values(name, family, case, words)
    if found is not None:
        return found
    texts = {
        "container": f"The bundle file's frame is wrong: {words}.",
        "refs": f"The ref line is wrong: {words}.",
        "prerequisites": f"The prerequisites are wrong: {words}.",
        "pack": f"An entry of the pack is wrong: {words}.",
        "deltas": f"A delta is wrong: {words}.",
        "graph": f"What the commits reach is wrong: {words}.",
        "digest": f"Announced by another digest: {words}.",
        "trailers": f"The trailers are not the canonical ones: {words}.",
        "sizes": f"Too much: {words}.",
        "bombs": f"Asks for more than it brings: {words}.",
        "content": f"The files are no bundle: {words}.",
    }
    return texts[family]


def _of_values(name: str, family: str, case: str, words: str) -> str | None:
    """Where the bytes that make the difference are known by the case's name."""
    found: str | None = None
    if limits := LIMITS.get(name):
        key, value = next(iter(limits.items()))
        found = f"Passes `{key}`, which this host has set to {value}."
    elif family == "paths":
        found = _of_paths(case, words)
    elif family == "metadata":
        found = _of_metadata(case, words)
    elif family == "modes":
        mode = {**modes.OF_FILES, **modes.OF_DIRECTORIES}.get(case)
        found = f"The mode is {ascii(mode)[1:]}." if mode is not None else f"A {words}."
    elif family == "trailers" and case in trailers.VALUES:
        key, text = list(trailers.VALUES[case].items())[-1]
        found = f"The trailer {key} says {text[:30]!a}."
    elif family == "refs" and case in refs.NAMES:
        found = f"The one ref is called {ascii(refs.NAMES[case][:40])[1:]}."
    elif family == "content" and case in content.FILES:
        found = f"A file says what no bundle may say: {words}."
    elif case.startswith("truncated-"):
        found = f"The file ends: {words.removeprefix('truncated ')}."
    return found


def _of_paths(case: str, words: str) -> str:
    kind, _, key = case.partition("-")
    if kind in {"file", "directory"} and key in paths.NAMES:
        return f"A {kind} is called {ascii(paths.NAMES[key][:40])[1:]}."
    if case in paths.PAIRS:
        one, two = (ascii(part.decode()) for part in paths.PAIRS[case])
        return f"The names {one} and {two} stand side by side."
    return f"A tree that no file system holds as it is: {words}."


def _of_metadata(case: str, words: str) -> str:
    if case in metadata.HEADERS:
        line = ascii(metadata.HEADERS[case][-1][:40])[1:]
        return f"A commit has the header line {line}."
    if case in metadata.TIMES:
        return f"The author's time is {metadata.TIMES[case]!a}."
    if case in metadata.PEOPLE:
        return f"Author and committer are {metadata.PEOPLE[case][:40]!a}."
    return f"A commit is not in its canonical spelling: {words}."


def gap(name: str) -> str:
    """The paragraph of docs/hostile-corpus.md that explains why git takes it."""
    return OTHER_GAPS.get(name, GAPS[name.partition("/")[0]])
