"""How a verb reaches the house: over HTTP, or in its own process. Both speak the API's documents."""
