"""The author's side, a laptop or CI: a directory read, its provenance told, signed, published.

Out of it come `InvalidInputError` and its kin for what is in the directory, and whatever the place
of publishing raises. It never opens a Backend's data and never writes to the directory, but for
``init``.
"""
