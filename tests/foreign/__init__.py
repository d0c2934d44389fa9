"""Other people's small projects that take Jobcast in; see tests/tooling/test_wheel_install.py."""
