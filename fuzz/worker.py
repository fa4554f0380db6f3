"""One target in one process, under atheris: ``python -m fuzz.worker TARGET …``.

libFuzzer ends the process itself, so what it has to say is read from its standard error.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

_WORD = re.compile(rb"[A-Za-z][A-Za-z0-9_-]{3,31}")
_DICTIONARY_WORDS = 200
_SLOWEST_SECONDS = 20
_MEMORY_MB = 2048


def write_dictionary(inputs: list[bytes], file: Path) -> None:
    """Words of the corpus, for a fuzzer that cannot see what a regular expression wants."""
    words = Counter(word for data in inputs for word in set(_WORD.findall(data)))
    chosen = [word.decode("ascii") for word, _ in words.most_common(_DICTIONARY_WORDS)]
    file.write_text("".join(f'"{word}"\n' for word in chosen), encoding="ascii")


def main() -> None:
    """Fuzz until the seconds are over or something is found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--findings", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()

    import atheris

    with atheris.instrument_imports(include=["yoi_bundles"]):
        from fuzz.targets import TARGETS
    from fuzz.corpus import CORPUS, read_corpus
    from fuzz.target import judge

    target = TARGETS[chosen.target]
    kept = CORPUS / target.name
    chosen.work.mkdir(parents=True, exist_ok=True)
    dictionary = chosen.work.with_suffix(".dict")
    write_dictionary(list(read_corpus(kept).values()), dictionary)
    arguments = [
        sys.argv[0],
        str(chosen.work),
        str(kept),
        # From here on: a busy machine that takes long to load all that does not fuzz less for it.
        f"-max_total_time={max(1, int(chosen.seconds))}",
        f"-max_len={target.max_bytes}",
        f"-dict={dictionary}",
        f"-artifact_prefix={chosen.findings}/{target.name}-",
        f"-timeout={_SLOWEST_SECONDS}",
        f"-rss_limit_mb={_MEMORY_MB}",
        f"-seed={chosen.seed}",
        "-print_final_stats=1",
    ]

    def one(data: bytes) -> None:
        judge(target, data)

    atheris.Setup(arguments, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
