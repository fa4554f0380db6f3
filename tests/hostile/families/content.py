"""What the files say: unknown kinds, broken references, forbidden material. The format is right."""

from builder import Family, World, rng

FAMILY = Family("content")
NOISE = rng("content")


def noise(alphabet: str, size: int) -> str:
    return "".join(NOISE.choice(alphabet) for _ in range(size))


UPPER, HEX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdef"
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
KEY = "".join(f"{noise(BASE64, 64)}\n" for _ in range(6))
MANIFEST = 'schema = 1\n\n[workspace]\nid = "{id}"\nname = "Team"\ndescription = "x"\n'
PROFILE = (
    'description = "x"\n\n[engine]\nkind = "tool-loop"\nsystem_prompt = "{prompt}"\n'
    '\n[model]\nref = "{model}"\n'
)

FILES: dict[str, dict[str, bytes | None]] = {
    "unknown-directory": {"hooks/post-receive.toml": b"x = 1\n"},
    "unknown-file-at-the-top": {"README.md": b"# Hello\n"},
    "script": {"tools/run.sh": b"#!/bin/sh\n"},
    "unknown-key": {"profiles/coder.toml": None, "profiles/other.toml": b"evil = true\n"},
    "unknown-schema": {"bundle.toml": MANIFEST.format(id="team").replace("1", "2", 1).encode()},
    "no-manifest": {"bundle.toml": None},
    "manifest-of-another-workspace": {"bundle.toml": MANIFEST.format(id="other").encode()},
    "toml-broken": {"bundle.toml": b"schema = = 1\n"},
    "toml-nested-10000-deep": {"bundle.toml": b"schema = " + b"[" * 10_000 + b"]" * 10_000},
    "toml-with-a-huge-number": {"bundle.toml": b"schema = " + b"9" * 6000 + b"\n"},
    "file-not-utf8": {"prompts/new.md": b"\xff\xfe\x00"},
    "file-with-nul": {"prompts/new.md": b"a\0b\n"},
    "file-with-a-byte-order-mark": {"prompts/new.md": b"\xef\xbb\xbfHello\n"},
    "file-with-crlf": {"prompts/new.md": b"Hello\r\n"},
    "reference-to-nothing": {
        "profiles/coder.toml": PROFILE.format(prompt="role.gone", model="acme/standard").encode()
    },
    "model-of-nobody": {
        "profiles/coder.toml": PROFILE.format(prompt="role.coder", model="gone/x").encode()
    },
    "extends-itself": {"profiles/loop.toml": b'description = "x"\nextends = "loop"\n'},
    "extends-builtin": {"profiles/up.toml": b'description = "x"\nextends = "builtin:coder"\n'},
    "private-key": {
        "prompts/new.md": (
            f"-----BEGIN OPENSSH PRIVATE KEY-----\n{KEY}-----END OPENSSH PRIVATE KEY-----\n"
        ).encode()
    },
    "cloud-key": {"prompts/new.md": f"key AKIA{noise(UPPER, 16)} here\n".encode()},
    "forge-token": {"prompts/new.md": f"token ghp_{noise(BASE64, 36)} here\n".encode()},
    "assigned-password": {"prompts/new.md": f'password = "{noise(BASE64, 24)}"\n'.encode()},
    "url-with-a-password": {
        "prompts/new.md": f"https://ada:{noise(BASE64, 20)}@db.example.org/x\n".encode()
    },
    "host-path-in-a-scope": {
        "grants/mnt.toml": b'kind = "mount"\ndescription = "x"\nmount = "/etc/shadow"\n'
    },
    "file-of-two-mib": {"prompts/new.md": b"word " * 400_000},
}
for _name, _files in FILES.items():
    FAMILY.put(_name, lambda world, files=_files: world.next(files=files))


@FAMILY.case
def empty_tree(world: World):
    return world.next(lambda made: made.tree())


@FAMILY.case
def three_thousand_faults(world: World):
    """More findings than anybody reads: they are cut off, not collected."""
    return world.next(files={f"hooks/f{i}.sh": b"x\n" for i in range(3000)})
