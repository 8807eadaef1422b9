"""Models behind HTTP: concurrent requests are computed together, and texts are streamed."""
