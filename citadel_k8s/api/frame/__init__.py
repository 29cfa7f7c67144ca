"""The frame of all routes: how a request becomes a call, and a refusal an answer."""
