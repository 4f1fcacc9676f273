"""A box's journal: claims, outcomes and the site's own runs, in one SQLite file."""

from tasks.journal.claims import ClaimResult, Claims, ClaimVerdict
from tasks.journal.database import JournalDatabase
from tasks.journal.entries import Entries
from tasks.journal.workers import Workers

__all__ = ["ClaimResult", "ClaimVerdict", "Claims", "Entries", "JournalDatabase", "Workers"]
