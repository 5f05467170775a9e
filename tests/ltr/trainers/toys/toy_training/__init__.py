"""A whole training in miniature: squares on noise, a small net, everything a third party would write."""
