"""Everything on one machine by one command: broker, worker, scheduler, mailbox and pages."""
