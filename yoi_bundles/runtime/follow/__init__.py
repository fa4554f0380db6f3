"""A Runtime that follows a Backend: asks for news, fetches what it lacks, reports how it went.

A round's failures are noted and tried again, they do not leave it. It never takes a bundle by
another way than receive, and never asks faster than it was told to.
"""
