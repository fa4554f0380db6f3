"""What makes releases, floors and the corpus; run from the top of the project, never installed."""
