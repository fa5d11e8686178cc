"""The exception for faulty input."""


class InputError(Exception):
    """An input of the user cannot be used.

    The message is one line that names the file or option and the problem. The entry scripts print
    it to stderr and end with exit code 2; no other exception is caused by faulty input.
    """
