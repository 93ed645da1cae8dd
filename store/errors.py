"""Every error a command may show, as one tree.

PreferablyError (exit 1: the work failed)
├── RequestError (exit 2: the request makes no sense, nothing was done)
│   ├── UnknownName      a reader, class, snapshot, id … that does not exist
│   ├── BadSettings      options or a settings file that contradict themselves
│   ├── MissingExtra     a library that an optional extra brings
│   └── BadInput         a file that is not what the command was told
├── TryLater (exit 3: the same command may succeed later)
│   ├── StoreBusy        another process kept the store past the bound
│   ├── ProviderStopped  quota, spend limit, wrong key, or a provider that is down
│   └── BudgetReached    the next request could pass --max-cost
├── NeedsMemory          a query that does not fit the memory it may use
├── StoreDamaged         the store's rows contradict each other
├── CheckFailed          `train check` or `curate verify` found faults
└── BadReply             a reply that carries no usable verdict

Messages are lower case, end without a full stop, name the thing and the way out.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class PreferablyError(Exception):
    """The root; its message is one line a user can act on."""

    exit_code = 1


class RequestError(PreferablyError):
    """The request makes no sense; nothing was done."""

    exit_code = 2


class UnknownName(RequestError):
    """A name that is not in its table; the message offers the nearest one."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> "UnknownName":
        """An error for NAME, with the nearest of KNOWN, or all of them when none is near."""
        names = sorted(known)
        near = get_close_matches(name, names, n=1)
        if near:
            return cls(f"no {kind} named {name!r}; did you mean {near[0]!r}?")
        return cls(f"no {kind} named {name!r}; there are: {', '.join(names) or 'none yet'}")


class BadSettings(RequestError):
    """Options or a settings file that contradict themselves."""


class MissingExtra(RequestError):
    """A library is missing that one of the extras installs."""

    @classmethod
    def of(cls, library: str, extra: str) -> "MissingExtra":
        """An error that names the extra to install."""
        return cls(f"this needs {library}; install it with: pip install 'preferably[{extra}]'")


class BadInput(RequestError):
    """A file that is not what the command was told it is."""


class TryLater(PreferablyError):
    """Nothing is wrong with the request; the same command may succeed later."""

    exit_code = 3


class StoreBusy(TryLater):
    """Another process kept the store longer than we were willing to wait."""


class NeedsMemory(PreferablyError):
    """A query needs more memory than it may use; the message names PREFERABLY_MEMORY."""


class ProviderStopped(TryLater):
    """The provider will not answer more requests: quota, spend limit, wrong key, or an outage."""


class BudgetReached(TryLater):
    """The next request could pass the cap the user set."""


class StoreDamaged(PreferablyError):
    """Rows of the store contradict each other."""


class CheckFailed(PreferablyError):
    """A check ran to its end and found faults."""


class BadReply(PreferablyError):
    """A reply that carries no usable verdict: none, more than one, or one out of range."""
