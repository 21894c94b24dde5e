"""What a task does once it has its place. A stage body never knows that it was queued."""
