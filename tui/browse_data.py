"""What the screens beside conversations and judging ask for; tests and other stores may implement it.

Every method may block and is called in a thread. Reading raises TryLater while the store is busy, and
the screens ask again. Ids are UUID text.
"""

from typing import Protocol

from tui.listing import Listing
from tui.query import Filter, Vocabulary
from tui.response_set import ResponseSet

PROMPTS = Vocabulary(numbers=("responses", "draws"))


class BrowseData(Protocol):
    """The rest of the store as the screens see it."""

    def prompts(self, wanted: Filter) -> Listing:
        """The prompts with several responses, or with draws, that a filter of PROMPTS keeps."""

    def response_set(self, prompt_id: str) -> ResponseSet:
        """A prompt with all its responses and what is known of them."""
