"""Papers, item by item: the numbers of each table and figure, and how to compare them."""
