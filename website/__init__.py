"""What builds the site: `python -m website`, which `make docs` runs."""
