"""Fast ways to run a whole sequence: diagonal recurrences, chunks, and recurrences of each unit by itself."""
