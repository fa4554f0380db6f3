"""Limits, each passed by one; where the default is large, the host's policy sets a smaller one.

``LIMITS`` says which; the table repeats it for readers.
"""

from builder import BLOB, COMMIT, Family, Objects, Pack, Upload, World, encode_commit, header

FAMILY = Family("sizes")
LIMITS: dict[str, dict[str, int]] = {}


def limited(name: str, build, **limits: int) -> None:
    FAMILY.put(name, build)
    LIMITS[f"sizes/{name}"] = limits


def many_files(count: int, world: World) -> Upload:
    def root(made: Objects) -> bytes:
        row = made.file(b"x")
        return made.tree(*(row._replace(name=b"n%06d" % i) for i in range(count)))

    return world.next(root)


def in_directories(count: int, each: int, world: World) -> Upload:
    def root(made: Objects) -> bytes:
        row = made.file(b"x")
        inner = made.dir(b"d", *(row._replace(name=b"n%06d" % i) for i in range(each)))
        return made.tree(*(inner._replace(name=b"d%04d" % i) for i in range(count)))

    return world.next(root)


def commits(count: int, world: World) -> Upload:
    made = Objects()
    tree = made.files({**world.files, "prompts/a.md": b"a\n"})
    tip = world.head
    for step in range(count):
        tip = made.add(COMMIT, encode_commit(tree, tip, world.next_number + step))
    pack = Pack(made.without(world.objects.made))
    return Upload(header(tip, world.head) + pack.encode(), tree.hex())


def blobs(count: int, size: int, world: World) -> Upload:
    return world.next(
        files={f"prompts/p{i:04d}.md": b"%d\n" % i + b"word " * (size // 5) for i in range(count)}
    )


limited("bundle-bytes", lambda w: blobs(1, 100_000, w), bundle_bytes=400)
limited("header-bytes", lambda w: w.next(), header_bytes=100)
limited("header-line-bytes", lambda w: w.next(), header_line_bytes=50)
limited("objects", lambda w: blobs(20, 10, w), objects=10)
limited("object-bytes", lambda w: blobs(1, 60_000, w), object_bytes=50_000)
limited("inflated-bytes", lambda w: blobs(10, 60_000, w), inflated_bytes=500_000)
limited("inflate-ratio", lambda w: blobs(1, 600_000, w), inflate_ratio=100)
limited("tree-entries", lambda w: many_files(101, w), tree_entries=100)
limited("files", lambda w: in_directories(11, 10, w), files=100)
limited("tree-bytes", lambda w: blobs(10, 60_000, w), tree_bytes=500_000)
limited("tree-depth", lambda w: w.next(files={"prompts/a/b/c/d.md": b"x\n"}), tree_depth=3)
limited("name-bytes", lambda w: w.next(files={"prompts/" + "n" * 21 + ".md": b"x"}), name_bytes=20)
limited("path-bytes", lambda w: w.next(files={"prompts/a/b/c/d.md": b"x\n"}), path_bytes=17)
limited("commit-bytes", lambda w: w.next(message="word " * 300 + "end"), commit_bytes=1000)
limited("new-commits", lambda w: commits(11, w), new_commits=10)
limited(
    "prerequisites",
    lambda w: w.next(header_of=lambda tip, base: header(tip, base, w.commits[0], w.commits[1])),
    prerequisites=2,
)
limited("file-bytes", lambda w: blobs(1, 60_000, w), file_bytes=50_000)


@FAMILY.case
def entries_20001(world: World) -> Upload:
    return many_files(20_001, world)


@FAMILY.case
def entries_200000(world: World) -> Upload:
    """200,000 names in one directory: 8 MB of tree, half a megabyte on the wire."""
    return many_files(200_000, world)


@FAMILY.case
def files_200000_in_directories(world: World) -> Upload:
    return in_directories(20, 10_000, world)


@FAMILY.case
def bytes_that_one_blob_makes_many_times(world: World) -> Upload:
    """One file of 4 MiB under 100 names: 400 MiB as a checkout, nothing on the wire."""

    def root(made: Objects) -> bytes:
        row = made.file(b"x", bytes(4 * 2**20))
        return made.tree(*(row._replace(name=b"n%03d" % i) for i in range(100)))

    return world.next(root)


@FAMILY.case
def tree_of_ten_to_the_tenth(world: World) -> Upload:
    """Ten levels of ten directories, each ten times the one below: a checkout of 10**10 files."""

    def root(made: Objects) -> bytes:
        row = made.file(b"f")
        for _ in range(10):
            row = made.dir(b"d", *(row._replace(name=b"n%d" % i) for i in range(10)))
        return row.oid

    return world.next(root)


@FAMILY.case
def object_of_9_mib(world: World) -> Upload:
    return world.next(files={"prompts/new.md": bytes(9 * 2**20)})


@FAMILY.case
def commit_of_10_mib(world: World) -> Upload:
    return world.next(message="word " * (2 * 2**20) + "end")


@FAMILY.case
def stowaways_of_one_mib(world: World) -> Upload:
    return world.next(more=[(BLOB, b"%d" % i + bytes(2**20)) for i in range(8)])
