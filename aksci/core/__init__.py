"""What every room may use: errors, programs, text, files, secrets."""
