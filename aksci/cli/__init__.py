"""The command line: sessions, their options, and the edge."""
