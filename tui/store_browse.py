"""BrowseData over a store file: each part of it in its own module."""

from tui.listing import Listing
from tui.query import Filter
from tui.response_set import ResponseSet
from tui.store_data import StoreReview
from tui.store_sets import StoreSets


class StoreBrowse:
    """The screens beside conversations, answered by the store that DATA reads."""

    def __init__(self, data: StoreReview) -> None:
        self._sets = StoreSets(data.reader, data.search)

    def close(self) -> None:
        """Give the memory back."""
        self._sets.close()

    def prompts(self, wanted: Filter) -> Listing:
        """The prompts a filter keeps."""
        return self._sets.prompts(wanted)

    def response_set(self, prompt_id: str) -> ResponseSet:
        """A prompt with all its responses."""
        return self._sets.response_set(prompt_id)
