"""The ``jobcast`` command."""
