"""Where data lies: files of users, tables, the Hugging Face Hub, and the cache of what was downloaded."""
