"""One grant type per file, on Authlib's skeletons; `mint` makes what they answer."""
