"""Fast ways to run a whole sequence: diagonal recurrences, and recurrences of each unit by itself."""
