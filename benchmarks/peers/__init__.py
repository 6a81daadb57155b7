"""The others: each as its own guide tells a user to write it, one file a peer, each served as a subject."""
