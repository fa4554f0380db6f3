"""All families of hostile cases, one module each; `CASES` has every case by its name."""

from families import (
    bombs,
    container,
    content,
    deltas,
    digests,
    graph,
    metadata,
    modes,
    pack,
    paths,
    prerequisites,
    refs,
    shallow,
    sizes,
    trailers,
)

FAMILIES = (
    container.FAMILY,
    refs.FAMILY,
    prerequisites.FAMILY,
    pack.FAMILY,
    deltas.FAMILY,
    graph.FAMILY,
    digests.FAMILY,
    sizes.FAMILY,
    bombs.FAMILY,
    paths.FAMILY,
    modes.FAMILY,
    metadata.FAMILY,
    trailers.FAMILY,
    content.FAMILY,
    shallow.FAMILY,
)
CASES = {name: build for family in FAMILIES for name, build in family.cases.items()}
