"""What all records share: immutable, keyword-only, unknown fields from newer writers tolerated."""

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A fact. Records cross processes and disks as JSON; see `wire`."""
