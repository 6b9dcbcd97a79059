"""Other tools' files that say which images a repository has: Bake, Compose, Skaffold."""
