"""Papers, item by item: what each table and figure says, and how to hold it against evidence."""
