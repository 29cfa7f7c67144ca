"""What is at ``/`` and ``/device`` until there is a page: where one is, and how to go on."""
