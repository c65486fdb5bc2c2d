"""What is known of a GIF beyond its frames: its names, its words, and the reaction that it is."""
