"""What a deployment remembers: lease, record, desired state."""
