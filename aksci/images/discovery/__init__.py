"""Which images a project has: tables, globs, and the files of other tools."""
