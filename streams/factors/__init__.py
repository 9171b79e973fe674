"""The twelve factors: what they are, how they are formed, scaled and weighed."""
