"""A mail server for the tests: aiosmtpd, with faults by recipient and a record of every mail.

Prints one line {"port": N} when it listens, then appends one JSON object a line to DIR/mails.jsonl for every
mail it has taken, before it answers 250. The local part of a recipient chooses what happens to the mail:

    reject…        550 to RCPT                      rejectdata…    554 after the content
    defer…         451 to RCPT, always              tempfail-once… 451 to RCPT the first time
    deferdata…     451 after the content, always
    drop-rcpt…     connection dropped at RCPT, the first time
    drop-data…     content read, thrown away, connection dropped without a reply
    drop-stored…   content read and kept, connection dropped without a reply
    stall…         content read, and no reply for --stall seconds
"""

import argparse
import asyncio
import email
import email.policy
import json
import logging
import pathlib
import ssl
import time

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Sink:
    def __init__(self, args):
        self.args = args
        self.seen = set()
        self.mails = open(pathlib.Path(args.dir) / "mails.jsonl", "a", encoding="utf-8")

    def first_time(self, address):
        new = address not in self.seen
        self.seen.add(address)
        return new

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        local = address.split("@")[0]
        if local.startswith("reject") and not local.startswith("rejectdata"):
            return "550 5.1.1 no such mailbox"
        if local.startswith("defer") and not local.startswith("deferdata"):
            return "451 4.7.1 come again later"
        if local.startswith("tempfail-once") and self.first_time(address):
            return "451 4.3.0 not just now"
        if local.startswith("drop-rcpt") and self.first_time(address):
            server.transport.abort()
            return "421 gone"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        local = envelope.rcpt_tos[0].split("@")[0]
        if local.startswith("rejectdata"):
            return "554 5.7.1 content refused"
        if local.startswith("deferdata"):
            return "451 4.3.2 content not taken now"
        if local.startswith("drop-data"):
            server.transport.abort()
            return "421 gone"
        if self.args.delay:
            await asyncio.sleep(self.args.delay / 1000)
        self.store(session, envelope)
        if local.startswith("drop-stored"):
            server.transport.abort()
            return "421 gone"
        if local.startswith("stall"):
            await asyncio.sleep(self.args.stall)
        return "250 2.0.0 taken"

    def store(self, session, envelope):
        message = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        parts = {"plain": None, "html": None}
        for part in message.walk():
            kind = part.get_content_type()
            if kind.startswith("text/") and parts.get(kind[5:], 0) is None:
                parts[kind[5:]] = part.get_content()
        record = {
            "at": int(time.time() * 1000),
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": self.args.tls == "tls" or session.ssl is not None,
            "login": session.auth_data if isinstance(session.auth_data, str) else None,
            "headers": [[name, str(value)] for name, value in message.items()],
            "text": parts["plain"],
            "html": parts["html"],
            "raw": envelope.original_content.decode("utf-8", "replace"),
        }
        self.mails.write(json.dumps(record) + "\n")
        self.mails.flush()


def authenticator(user_and_password):
    user, password = user_and_password.split(":", 1)

    def check(server, session, envelope, mechanism, auth_data):
        good = isinstance(auth_data, LoginPassword) and (
            auth_data.login.decode(),
            auth_data.password.decode(),
        ) == (user, password)
        return AuthResult(success=good, auth_data=user if good else None, handled=False)

    return check


async def serve(args):
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    sink = Sink(args)
    context = None
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
    options = {"hostname": "sink.test", "enable_SMTPUTF8": True, "timeout": 300}
    if args.tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if args.auth:
        options |= {
            "authenticator": authenticator(args.auth),
            "auth_required": True,
            "auth_require_tls": args.tls == "starttls",
        }
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(sink, **options),
        "127.0.0.1",
        args.port,
        ssl=context if args.tls == "tls" else None,
        backlog=512,
    )
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", choices=["none", "starttls", "tls"], default="none")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--auth", help="USER:PASSWORD, then AUTH is required")
    parser.add_argument("--delay", type=float, default=0, help="milliseconds before a mail is kept")
    parser.add_argument("--stall", type=float, default=600, help="seconds without a reply for stall…")
    asyncio.run(serve(parser.parse_args()))
