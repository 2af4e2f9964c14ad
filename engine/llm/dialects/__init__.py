"""How requests are written in other words than ours, by providers and by faces of the server alike. Pure."""
