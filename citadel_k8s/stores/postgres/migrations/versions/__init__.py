"""The steps. A step that has landed is never changed: the next one mends it."""
