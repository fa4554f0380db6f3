"""Looks at the data of Runtimes and Backends: is every byte what its name says, is it signed.

What is wrong is reported, not raised; `InvalidInputError` and `BundleMissingError` say that a
question cannot be answered. It never changes what it looks at.
"""
