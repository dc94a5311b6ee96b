"""Mail that comes back, written for tests: bounces, complaints and answers about one message of ours."""


def bounce(
    to: str,
    *,
    action: str = "failed",
    status: str = "5.1.1",
    words: str = "550 5.1.1 no such user",
    tag: str = "",
) -> bytes:
    """A delivery status notification to an envelope sender of ours."""
    return f"""From: MAILER-DAEMON@mx.example.net
To: {to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
X-Tag: {tag}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

The mail system could not deliver your message.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; masked@example.net
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {words}

--b--
""".encode()


def complaint(to: str, original: str) -> bytes:
    """A complaint whose reader is hidden; ``original`` are the header lines of the mail it gives back."""
    return f"""From: fbl@provider.example
To: {to}
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This is an email abuse report.

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Provider/1.0
Version: 1
Original-Rcpt-To: <redacted>

--b
Content-Type: message/rfc822

{original}
Subject: papers

words
--b--
""".encode()


def answer(to: str, subject: str = "Out of office") -> bytes:
    """An automatic answer."""
    return f"""From: Reader <reader@example.net>
To: {to}
Subject: {subject}
Auto-Submitted: auto-replied

I am away.
""".encode()
