"""What a build reads of its context: walked, filtered, hashed."""
