"""Part II: what diffusion is used for, one file or folder for each use. Part I knows nothing of it."""
