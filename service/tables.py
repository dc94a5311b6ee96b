"""Every table, imported once: for migrations and tests."""

from service.database import Base
from service.digests import tables as digests
from service.mail import tables as mail
from service.papers import tables as papers
from service.subscribers import library_tables as libraries
from service.subscribers import tables as subscribers

__all__ = ["Base", "digests", "libraries", "mail", "papers", "subscribers"]
