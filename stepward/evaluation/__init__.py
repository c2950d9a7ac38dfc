"""How good the reward models are: best-of-N, voting, label quality, difficulty slices, statistics over seeds."""
