"""What a build would do and why: reasons, plans, comparisons, CI matrices."""
