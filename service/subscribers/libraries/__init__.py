"""Libraries people upload: read from the formats of reference managers, and kept as interests."""
