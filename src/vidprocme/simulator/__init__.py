"""A cluster in memory under the same policy as the live loop. Pure and seeded."""
