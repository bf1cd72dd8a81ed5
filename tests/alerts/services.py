"""A stand-in of the notification services, reached as they are: by their names through a proxy and TLS, or directly."""

import os
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from tests.alerts.bot_api import make_certificate
from tests.fakes import LOOPBACK

# Of the plug-ins that the tests send through.
NAMES = (
    *("api.46elks.com", "api.kavenegar.com", "api.msg91.com", "control.msg91.com", "api.onesignal.com"),
    *("api.postmarkapp.com", "api.pushed.co", "api.pushover.net", "api.sendpulse.com", "api.smtp2go.com"),
    *("api.sparkpost.com", "alert.victorops.com", "api.telegram.org", "api.transmitsms.com", "discord.com"),
    *("fcm.googleapis.com", "gateway.seven.io", "hooks.slack.com", "joinjoaomgcd.appspot.com", "kapi.kakao.com"),
    *("kauth.kakao.com", "notifiarr.com", "ntfy.sh", "oapi.dingtalk.com", "open.feishu.cn", "open.larksuite.com"),
    *("org.zulipchat.com", "platform.clickatell.com", "portal.bulkvs.com", "push.i-i.me", "push.spug.dev"),
    *("push.techulus.com", "qmsg.zendee.cn", "qyapi.weixin.qq.com", "rest.clicksend.com", "rest.nexmo.com"),
    *("sctapi.ftqq.com", "slack.com", "streamlabs.com"),
)


class Request(NamedTuple):
    """What a plug-in sent."""

    host: str
    path: str
    body: bytes


class Services:
    """Answers every request with `status` and `body`; keeps what was sent."""

    def __init__(self, certificate: Path) -> None:
        self.status = 200
        self.body = b"{}"
        self.headers: dict[str, str] = {}
        # The status and address with which the next request is sent on.
        self.redirect: tuple[int, str] | None = None
        self.requests: list[Request] = []
        self._certificate = make_certificate(certificate, *NAMES)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate)
        services = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self.connection = context.wrap_socket(self.connection, server_side=True)
                self.rfile = self.connection.makefile("rb")
                self.wfile = self.connection.makefile("wb", 0)
                self.close_connection = False

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                services.requests.append(Request(self.headers.get("Host", ""), self.path, self.rfile.read(length)))
                redirect, services.redirect = services.redirect, None
                self.send_response(redirect[0] if redirect else services.status)
                if redirect:
                    self.send_header("Location", redirect[1])
                for name, value in services.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(services.body)))
                self.end_headers()
                self.wfile.write(services.body)
                self.close_connection = True

            do_GET = do_PUT = do_POST

            def log_message(self, *_: object) -> None:
                pass

            def finish(self) -> None:
                super().finish()
                self.connection.close()

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_: object) -> None:
                pass  # The client has closed the connection.

        self._server = Server((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """For services that are run by oneself."""
        return f"{LOOPBACK}:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, with the way to the stand-in."""
        return {
            **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), f"http://{self.address}"),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), LOOPBACK),
            "REQUESTS_CA_BUNDLE": str(self._certificate),
            "SSL_CERT_FILE": str(self._certificate),
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
