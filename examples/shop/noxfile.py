"""The shop's sessions: `nox -l` lists them."""

from aksci.nox_sessions import register

register()
