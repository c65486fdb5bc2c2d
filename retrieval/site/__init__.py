"""Write a static site of a bundle: the page and its search, without a server."""
