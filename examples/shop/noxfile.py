"""The shop's sessions: `nox -l` lists them."""

from aksci.nox import register

register()
