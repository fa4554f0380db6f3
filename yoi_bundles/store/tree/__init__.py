"""Git's values as bytes: objects, trees, commits with their trailers, headers of bundle files.

`BundleError`s of the sender leave it, each with what was expected. It touches no disk and knows
`model` alone; whatever it reads it can write again as the same bytes.
"""
