"""What a plan must keep, as pure functions: a plan in, sentences about what is wrong out."""
