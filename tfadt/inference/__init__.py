"""Inference beyond plain ranking: similar users in a space of users, and colliding inference (the paper's eq. 8)."""
