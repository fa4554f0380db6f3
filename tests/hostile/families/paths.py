"""Names in trees: those that mean something else on some file system, and trees out of order."""

from functools import partial

from builder import DIR, FILE, Family, Objects, Row, Upload, World, encode_rows

FAMILY = Family("paths")

NAMES = {
    # .git in every spelling
    "dot-git": b".git",
    "dot-git-in-capitals": b".GIT",
    "dot-git-mixed": b".gIt",
    "dot-git-8.3": b"git~1",
    "dot-git-8.3-in-capitals": b"GIT~1",
    "dot-git-8.3-second": b"git~2",
    "dot-git-trailing-dot": b".git.",
    "dot-git-trailing-space": b".git ",
    "dot-git-trailing-many": b".git . . .",
    "dot-git-stream": b".git::$INDEX_ALLOCATION",
    "dot-git-short-stream": b".git:x",
    "dot-git-hfs-zwnj": ".g\u200cit".encode(),
    "dot-git-hfs-bom": "\ufeff.git".encode(),
    "dot-git-hfs-rtl-mark": ".git\u200f".encode(),
    "dot-git-full-width": ".\uff47it".encode(),
    "dot-gitmodules": b".gitmodules",
    "dot-gitmodules-8.3": b"gitmod~1",
    "dot-gitmodules-hash-8.3": b"gi7eba~1",
    "dot-gitattributes": b".gitattributes",
    "dot-gitignore-trailing-space": b".gitignore ",
    # NTFS, DOS
    "stream": b"bundle.toml:evil",
    "default-stream": b"bundle.toml::$DATA",
    "drive-letter": b"C:",
    "drive-path": b"C:evil",
    "backslash": b"prompts\\evil.md",
    "backslash-traversal": b"..\\evil",
    "unc": b"\\\\server\\share",
    "device-nul": b"NUL",
    "device-con-with-suffix": b"con.toml",
    "device-com1": b"COM1.md",
    "device-com-superscript": "com\u00b9.md".encode(),
    "device-lpt9": b"lpt9",
    "device-aux-space": b"aux .md",
    "device-conin": b"CONIN$",
    "question-mark": b"a?b",
    "star": b"*.md",
    "pipe": b"a|b",
    "quote": b'a"b',
    "less": b"a<b",
    "trailing-dot": b"bundle.toml.",
    "trailing-space": b"bundle.toml ",
    "leading-space": b" bundle.toml",
    "only-a-space": b" ",
    "three-dots": b"...",
    # path syntax
    "dot": b".",
    "dot-dot": b"..",
    "empty": b"",
    "separator": b"a/b",
    "traversal": b"../../evil",
    "absolute": b"/etc/passwd",
    # characters
    "control-character": b"a\x07b",
    "newline": b"a\nb",
    "escape-sequence": b"\x1b[2Jb",
    "delete": b"a\x7fb",
    "c1-control": "a\u0085b".encode(),
    "bidi-override": "a\u202egm.b".encode(),
    "bidi-isolate": "a\u2066b".encode(),
    "zero-width-space": "a\u200bb".encode(),
    "soft-hyphen": "a\u00adb".encode(),
    "line-separator": "a\u2028b".encode(),
    "private-use": "a\ue000b".encode(),
    "hangul-filler": "a\u3164b".encode(),
    "variation-selector": "a\ufe0fb".encode(),
    "tag-character": "a\U000e0041b".encode(),
    "non-breaking-space-at-the-end": "a\u00a0".encode(),
    "ideographic-space-in-front": "\u3000a".encode(),
    "unassigned": "a\u0378b".encode(),
    "noncharacter": "a\uffffb".encode(),
    "not-utf8": b"a\xffb",
    "latin-1": "caf\u00e9".encode("latin-1"),
    "overlong-utf8": b"a\xc0\xafb",
    "surrogate": b"a\xed\xa0\x80b",
    "utf8-beyond-unicode": b"a\xf4\x90\x80\x80b",
    "not-nfc": "cafe\u0301".encode(),
    "201-bytes": b"n" * 201,
    "4096-bytes": b"n" * 4096,
    "201-bytes-of-umlauts": "\u00fc".encode() * 101,
}


def file_named(name: bytes, world: World) -> Upload:
    """The head's tree and one file more."""

    def root(made: Objects) -> bytes:
        return made.tree(*rows_of(made, world), made.file(name))

    return world.next(root)


def rows_of(made: Objects, world: World) -> list[Row]:
    """The entries at the top of the head's tree."""
    raw = made.made[made.files(world.files)][1]
    rows = []
    while raw:
        head, _, rest = raw.partition(b"\0")
        mode, _, name = head.partition(b" ")
        rows.append(Row(mode, name, rest[:32]))
        raw = rest[32:]
    return rows


for _name, _bytes in NAMES.items():
    FAMILY.put(f"file-{_name}", partial(file_named, _bytes))


def directory_named(name: bytes, world: World) -> Upload:
    def root(made: Objects) -> bytes:
        return made.tree(*rows_of(made, world), made.dir(name, made.file(b"config")))

    return world.next(root)


for _name in ("dot-git", "dot-git-8.3", "dot-git-hfs-zwnj", "dot-dot", "device-nul", "empty"):
    FAMILY.put(f"directory-{_name}", partial(directory_named, NAMES[_name]))


@FAMILY.case
def dot_git_deep_below(world: World) -> Upload:
    return world.next(
        lambda made: made.tree(
            made.dir(b"prompts", made.dir(b"a", made.dir(b".GIT", made.file(b"hooks"))))
        )
    )


PAIRS = {
    "case-collision": (b"Prompt.md", b"prompt.md"),
    "sharp-s-collision": ("stra\u00dfe".encode(), b"strasse"),
    "sigma-collision": ("\u03c3\u03c2".encode(), "\u03c3\u03c3".encode()),
    "kelvin-collision": ("\u212a".encode(), b"k"),
    "long-s-collision": ("\u017f".encode(), b"s"),
    "ligature-collision": ("\ufb01le".encode(), b"file"),
    "normal-form-collision": ("\u00e9".encode(), "e\u0301".encode()),
    "duplicate": (b"same.md", b"same.md"),
}


def pair_of(one: bytes, two: bytes, world: World) -> Upload:
    return world.next(lambda made: made.tree(made.file(one, b"one\n"), made.file(two, b"two\n")))


for _name, (_one, _two) in PAIRS.items():
    FAMILY.put(_name, partial(pair_of, _one, _two))


@FAMILY.case
def case_collision_of_directories(world: World) -> Upload:
    return world.next(
        lambda made: made.tree(
            made.dir(b"Prompts", made.file(b"a")), made.dir(b"prompts", made.file(b"b"))
        )
    )


@FAMILY.case
def file_and_directory(world: World) -> Upload:
    """Git's order allows both, no file system does."""
    return world.next(
        lambda made: made.tree(made.file(b"prompts"), made.dir(b"prompts", made.file(b"a")))
    )


@FAMILY.case
def file_and_directory_apart(world: World) -> Upload:
    """Another entry stands between the two."""
    return world.next(
        lambda made: made.tree(
            made.file(b"prompts"), made.file(b"prompts-x"), made.dir(b"prompts", made.file(b"a"))
        )
    )


@FAMILY.case
def wrong_order(world: World) -> Upload:
    return world.next(lambda made: made.tree(made.file(b"b"), made.file(b"a"), in_order=False))


@FAMILY.case
def wrong_order_of_a_directory(world: World) -> Upload:
    """By bytes in order, but a directory is ordered as if a slash followed."""
    return world.next(
        lambda made: made.tree(made.dir(b"a", made.file(b"f")), made.file(b"a.b"), in_order=False)
    )


def raw_tree(cut, world: World) -> Upload:
    def root(made: Objects) -> bytes:
        raw = encode_rows([Row(FILE, b"a", made.blob(b"x\n")), Row(FILE, b"b", made.blob(b"x\n"))])
        return made.add(2, cut(raw))

    return world.next(root)


TREES = {
    "tree-cut-in-an-id": lambda raw: raw[:-5],
    "tree-cut-after-a-name": lambda raw: raw[:-32],
    "tree-cut-in-a-name": lambda raw: raw[:-33],
    "tree-with-a-sha1-id": lambda raw: raw[:-12],
    "tree-with-bytes-behind": lambda raw: raw + b"\0",
    "tree-of-garbage": lambda raw: b"\xff" * 64,
    "tree-without-a-mode": lambda raw: raw[7:],
    "tree-with-two-spaces": lambda raw: raw.replace(b"100644 a", b"100644  a"),
    "tree-with-a-zero-id": lambda raw: raw[:-32] + b"\0" * 32,
}
for _name, _cut in TREES.items():
    FAMILY.put(_name, partial(raw_tree, _cut))


def nested(depth: int, name: bytes, world: World) -> Upload:
    def root(made: Objects) -> bytes:
        row = made.file(b"f")
        for _ in range(depth):
            row = made.dir(name, row)
        return made.tree(row)

    return world.next(root)


FAMILY.put("depth-17", partial(nested, 17, b"d"))
FAMILY.put("depth-5000", partial(nested, 5000, b"d"))
FAMILY.put("path-of-1100-bytes", partial(nested, 11, b"n" * 100))


@FAMILY.case
def directory_that_is_empty(world: World) -> Upload:
    """No file system keeps it, so what is checked out would have another digest."""

    def root(made: Objects) -> bytes:
        return made.tree(*rows_of(made, world), Row(DIR, b"empty", made.tree()))

    return world.next(root)
