"""Mail that comes back to us: received by LMTP or SMTP, or fetched from a mailbox by IMAP."""
