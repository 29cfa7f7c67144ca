"""What all tests share."""

import hypothesis

# A busy machine is no defect: no deadline per example. The same examples in each run, so that a
# failure seen once is seen again.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("house")
