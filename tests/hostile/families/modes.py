"""Modes of tree entries: everything but 100644 and 40000."""

from functools import partial

from builder import Family, Objects, Row, Upload, World

FAMILY = Family("modes")
OF_FILES = {
    "executable": b"100755",
    "group-writable": b"100664",
    "old-default": b"100640",
    "owner-only": b"100600",
    "all-bits": b"100777",
    "setuid": b"104755",
    "symbolic-link": b"120000",
    "no-type": b"644",
    "zero": b"0",
    "padded": b"0100644",
    "empty": b"",
    "device": b"020666",
    "fifo": b"010644",
    "not-octal": b"100648",
    "hex": b"0x81a4",
    "signed": b"+100644",
    "tab-in-front": b"\t100644",
    "over-16-bits": b"400100644",
}
OF_DIRECTORIES = {
    "padded-directory": b"040000",
    "directory-with-permissions": b"40755",
    "submodule": b"160000",
}


def file_as(mode: bytes, world: World) -> Upload:
    return world.next(lambda made: made.tree(Row(mode, b"bundle.toml", made.blob(b"x\n"))))


def directory_as(mode: bytes, world: World) -> Upload:
    def root(made: Objects) -> bytes:
        return made.tree(Row(mode, b"prompts", made.tree(made.file(b"a.md"))))

    return world.next(root)


for _name, _mode in OF_FILES.items():
    FAMILY.put(_name, partial(file_as, _mode))
for _name, _mode in OF_DIRECTORIES.items():
    FAMILY.put(_name, partial(directory_as, _mode))


@FAMILY.case
def submodule_without_a_commit(world: World) -> Upload:
    return world.next(lambda made: made.tree(Row(b"160000", b"vendor", b"\x55" * 32)))


@FAMILY.case
def link_out_of_the_tree(world: World) -> Upload:
    return world.next(
        lambda made: made.tree(Row(b"120000", b"prompts", made.blob(b"../../../etc")))
    )
