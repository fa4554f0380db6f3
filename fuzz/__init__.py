"""Coverage-guided fuzzing of every parser that meets bytes from outside.

Each target is a function of bytes with an oracle of its own. The same functions run over the kept
corpus of ``fixtures/fuzz`` in the tests, without a fuzzer.

Source: CONTRIBUTING.md, "Fuzzing".
"""
