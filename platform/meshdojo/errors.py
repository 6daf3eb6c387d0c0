"""The root of all errors whose text is meant for the user.

    UserError
    ├── cluster.errors.ClusterError      a cluster refused or did not answer
    ├── course.errors.CourseError        a lab's files are wrong
    ├── embedded.errors.EmbeddedError    an environment could not do what was asked
    ├── backends.base.BackendError       a backend failed
    ├── web: ServeError, DatabaseError, AssetsMissing
    └── UsageError                       what was typed names nothing that there is; those of the packages are both

Each text names the thing, what was found, and the remedy. The command line prints it and nothing else.
"""


class UserError(Exception):
    """An error that a user can act on; ``str()`` is the whole message."""


class UsageError(UserError):
    """The command line was wrong: it names something that there is not, or that cannot be. Nothing was done."""
