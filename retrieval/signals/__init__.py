"""What is known of a GIF beyond its frames, and how it answers a message: names, words, reactions."""
