"""Write a bundle as a static site, whose search runs in the visitor's browser."""
