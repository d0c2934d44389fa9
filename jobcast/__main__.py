"""``python -m jobcast``: the ``jobcast`` command where it is not on the path."""

from jobcast.cli.main import main

main(prog_name="jobcast")
