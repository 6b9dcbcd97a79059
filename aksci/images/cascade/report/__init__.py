"""What a cascade found and did, for people and for programs."""
