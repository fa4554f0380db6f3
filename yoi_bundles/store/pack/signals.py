"""What the interpreter says to the program, and no border of ours may take for an error."""

SIGNALS = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""Passes every border; dulwich's native code ends in a panic that is no ``Exception`` either."""
