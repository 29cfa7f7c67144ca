"""``top``: every GPU of the fleet in a terminal, and the only room that knows ``textual``.

What is shown is worked out without it: `gpus` reads rows, `fleet` keeps them, `order` picks and
sorts, `painting` makes lines. `app` is the terminal.
"""
