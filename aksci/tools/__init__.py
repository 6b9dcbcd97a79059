"""The toolbox: pinned command-line tools, where they come from, and how they are verified."""
