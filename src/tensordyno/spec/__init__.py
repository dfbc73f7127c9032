"""What is asked: the YAML file and its schema."""
