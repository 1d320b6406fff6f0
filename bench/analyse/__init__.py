"""Studies of what a trained subject does, beyond its row of the leaderboard."""
