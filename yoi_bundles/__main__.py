"""``python -m yoi_bundles``."""

from yoi_bundles.cli.main import main

main()
