"""Who may talk to the server: pages it served itself, opened with its token on this machine."""

import hmac
import re
import secrets
from ipaddress import ip_address

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from store.errors import BadSettings

LOOPBACK_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
"""What the Host header of a browser on this machine says. Its port may be that of an ssh tunnel."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self' data:;"
    " connect-src 'self' ws://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " sandbox allow-scripts allow-same-origin"
)
"""Nothing from elsewhere, and no new window or download: a link in a text opens nothing."""
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def loopback_host(host: str) -> str:
    """HOST as an address of this machine only.

    Raises BadSettings for any that others could reach.
    """
    address = "127.0.0.1" if host.lower() == "localhost" else host.strip("[]")
    try:
        is_loopback = ip_address(address).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise BadSettings(
            f"review is served on this machine only, not on {host}; to reach it from another one: ssh -L"
        )
    return address


class Guard:
    """The token that opens the app once, and the cookie that stands for it afterwards."""

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe(32)
        self.path = f"/{secrets.token_hex(8)}/"
        """Where the app is. Cookies know no ports: under a path of its own no other local server is sent ours."""
        self.cookie_name = f"review-{port}"
        self._cookie = secrets.token_urlsafe(32)

    async def enter(self, request: web.Request) -> web.StreamResponse:
        """Change the token for the cookie, and go where the address shows no token."""
        if not _is_equal(request.query.get("token", ""), self.token):
            raise web.HTTPForbidden(text="open the address that `review --web` printed, with its token\n")
        response = web.Response(status=303, headers={"Location": self.path})
        response.set_cookie(
            self.cookie_name, self._cookie, path=self.path, httponly=True, samesite="Strict", max_age=None
        )
        return response

    def check(self, request: web.Request) -> None:
        """Raise HTTPForbidden unless the request comes from a page of ours."""
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        if not LOOPBACK_HOST.fullmatch(host):
            raise web.HTTPForbidden(text="this is served to localhost only\n")
        is_socket = request.headers.get("Upgrade") is not None
        if (origin is not None or is_socket) and origin != f"http://{host}":
            raise web.HTTPForbidden(text="another site may not use this\n")
        if request.path != "/" and not _is_equal(request.cookies.get(self.cookie_name, ""), self._cookie):
            raise web.HTTPForbidden(text="open the address that `review --web` printed, with its token\n")


def guarding(guard: Guard) -> Middleware:
    """Checks every request, those for what does not exist too, and sends the headers with every answer."""

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        guard.check(request)
        return await handler(request)

    return checked


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """What a browser may do with an answer."""
    response.headers.update(HEADERS)
    host = request.headers.get("Host", "")
    if LOOPBACK_HOST.fullmatch(host):
        response.headers["Content-Security-Policy"] = POLICY.format(host=host)


def _is_equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())
