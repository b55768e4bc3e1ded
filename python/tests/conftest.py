"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    # Whoever starts the tests in the background may have had SIGINT ignored, for them and for every process that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
