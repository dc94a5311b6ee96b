"""The local mailbox: catches all mail over real SMTP and keeps it as files, so nothing leaves the machine."""
