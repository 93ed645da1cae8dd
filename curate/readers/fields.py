"""The fields of one record, each as it was written until a reader takes it.

Whatever is not taken becomes the metadata of the conversation, word for word: numbers of any length and
keys that nobody knows come through as they were.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from curate.readers.json_records import reason_of

LANGUAGE_KEYS = ("lang", "language")

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Unreadable(ValueError):
    """A record that cannot be stored; the message is the reason."""


def kind_of(value: object) -> str:
    """What JSON calls a value."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return "text"
    return {type(None): "null", bool: "true or false"}.get(type(value), "a number")


def objects_of(value: object) -> object:
    """VALUE, but a table of columns of one length (`datasets` stores lists of objects so) as its rows."""
    if (
        not isinstance(value, dict)
        or len(value) < 2
        or not all(isinstance(one, list) for one in value.values())
    ):
        return value
    columns = list(value.values())
    if len({len(column) for column in columns}) != 1:
        return value
    return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]


def decoded(raw: bytes | msgspec.Raw) -> Any:
    """The value that JSON text stands for.

    Raises Unreadable if it is malformed.
    """
    try:
        return _decode(raw)
    except msgspec.DecodeError as error:
        raise Unreadable(reason_of(str(error))) from error
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8: {error.reason}") from error
    except ValueError as error:
        raise Unreadable(f"not JSON: {error}") from error
    except RecursionError as error:
        raise Unreadable("nested too deeply") from error


class Fields:
    """A record that is being taken apart."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = dict(values)

    @classmethod
    def of_json(cls, raw: bytes) -> "Fields":
        """The fields of a JSON object.

        Raises Unreadable if RAW is none.
        """
        try:
            return cls(_decode_object(raw))
        except msgspec.ValidationError as error:
            raise Unreadable("not a JSON object") from error
        except msgspec.DecodeError as error:
            raise Unreadable(reason_of(str(error))) from error
        except UnicodeDecodeError as error:
            raise Unreadable(f"not UTF-8: {error.reason}") from error
        except ValueError as error:
            raise Unreadable(f"not JSON: {error}") from error
        except RecursionError as error:
            raise Unreadable("nested too deeply") from error

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def keys(self) -> list[str]:
        """The names of the fields that are left."""
        return list(self._values)

    def see(self, key: str) -> Any:
        """The value of a field, which stays; None if there is none."""
        value = self._values.get(key)
        return decoded(value) if isinstance(value, msgspec.Raw) else value

    def take(self, key: str) -> Any:
        """The value of a field, which then belongs to the metadata no longer; None if there is none."""
        value = self._values.pop(key, None)
        return decoded(value) if isinstance(value, msgspec.Raw) else value

    def drop(self, *keys: str) -> None:
        """Leave fields out of the metadata: they repeat what is stored anyway."""
        for key in keys:
            self._values.pop(key, None)

    def take_text(self, *keys: str) -> str:
        """The text of the first of KEYS that is there and not null; empty if none is.

        Raises Unreadable if it is not text.
        """
        for key in keys:
            value = self.take(key) if key in self._values else None
            if value is not None:
                return _text_or_reason(key, value)
        return ""

    def need_text(self, *keys: str) -> str:
        """The text of the first of KEYS that is there.

        Raises Unreadable if none is, or if it is not text.
        """
        key = next((key for key in keys if key in self._values), None)
        if key is None:
            raise Unreadable(f"no {keys[0]}" + (f" (one of {', '.join(keys)})" if len(keys) > 1 else ""))
        return _text_or_reason(key, self.take(key))

    def need_list(self, key: str) -> list[Any]:
        """The list in a field.

        Raises Unreadable if there is none.
        """
        if key not in self._values:
            raise Unreadable(f"no {key}")
        value = objects_of(self.take(key))
        if not isinstance(value, list):
            raise Unreadable(f"{key} is {kind_of(value)}, not a list")
        return value

    def take_id(self, *keys: str) -> str:
        """The id the record gives itself; empty if it gives none."""
        for key in keys or ("id",):
            value = self.take(key)
            if isinstance(value, str):
                return value
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
            if value is not None:
                raise Unreadable(f"the {key} is {kind_of(value)}, neither text nor a whole number")
        return ""

    def take_model(self, key: str = "model") -> str:
        """The model label, or empty."""
        value = self.take(key)
        if value is None or isinstance(value, str):
            return value or ""
        raise Unreadable(f"the {key} is {kind_of(value)}, not text")

    def take_language(self) -> str | None:
        """The language the record names, if it is text."""
        for key in LANGUAGE_KEYS:
            language = self.see(key)
            if isinstance(language, str) and language:
                del self._values[key]
                return language
        return None

    def rest(self, more: Iterable[tuple[str, object]] = ()) -> str | None:
        """What is left of the record and what is given in MORE, as JSON text."""
        pairs = [*self._values.items(), *((_free(key, self._values), value) for key, value in more)]
        if not pairs:
            return None
        return "{" + ",".join(f"{_text(key)}:{_text(value)}" for key, value in pairs) + "}"


def _text_or_reason(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"{key} is {kind_of(value)}, not text")
    return value


def _free(key: str, taken: Mapping[str, object]) -> str:
    """KEY, or what is nearest to it and not TAKEN: no key stands twice in the metadata."""
    while key in taken:
        key += "_"
    return key


def _text(value: object) -> str:
    return bytes(value).decode() if isinstance(value, msgspec.Raw) else _encode(value).decode()
