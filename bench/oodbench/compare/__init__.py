"""Two methods of a matrix, two folders of results or two commits, compared on the same inputs; needs no torch."""
