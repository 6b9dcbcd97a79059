"""One build: look up, build, finish, record, publish."""
