"""Batch jobs: a file of requests in OpenAI's format in, a file of results out."""
