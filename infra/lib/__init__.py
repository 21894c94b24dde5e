"""What both stacks are made of."""
