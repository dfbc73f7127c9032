"""Words: the page, the tables, the files a reader opens."""
