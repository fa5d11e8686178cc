"""The one error that a user can cause."""


class InputError(Exception):
    """Something that the user gave cannot be used.

    The message is one line that names the file or option and says what is wrong with it. The entry
    scripts print it to stderr and end with exit code 2; no other exception is a user's mistake.
    """
