"""What belongs together: charts and releases."""
