"""What an image costs: seconds, memory, operations."""
