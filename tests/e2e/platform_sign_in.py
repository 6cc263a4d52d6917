"""A stub of the platform's sign-in (App Service authentication) in front of an app.

It removes its own headers from calls, checks the bearer token, and adds headers that name the caller.
A browser has a session instead of a token: `/.auth/login/aad` creates one for the first principal, without asking, and
`/.auth/logout` ends it.
Calls without a token pass (`unauthenticatedClientAction` `AllowAnonymous`) or are refused (`Return401`); an invalid
token is refused in both cases. Tokens are arbitrary texts; the validation of real tokens is not simulated.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp
from aiohttp import web

from dev.loops import running

OWN_HEADERS = "x-ms-client-principal"
NOT_HANDED_ON = ("host", "content-length", "transfer-encoding", "authorization")
NOT_HANDED_BACK = ("content-length", "content-encoding", "transfer-encoding", "connection", "server")
SESSION = "AppServiceAuthSession"


@contextmanager
def signing_in(app: str, tokens: Mapping[str, str], *, anonymous: bool = True) -> Iterator[str]:
    """The address to call instead of `app`. `tokens`: by token, the object id of the principal."""

    async def respond(request: web.Request) -> web.Response:
        if request.path.startswith("/.auth/"):
            return session_of(request, next(iter(tokens)))
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in NOT_HANDED_ON and not name.lower().startswith(OWN_HEADERS)
        }
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.cookies.get(SESSION, "")
        if bearer not in tokens and (bearer or not anonymous):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        if bearer:
            headers |= {f"{OWN_HEADERS}-id": tokens[bearer], f"{OWN_HEADERS}-idp": "aad"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, f"{app}{request.path_qs}", headers=headers, data=await request.read()
            ) as answer,
        ):
            kept = {name: text for name, text in answer.headers.items() if name.lower() not in NOT_HANDED_BACK}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    server = web.Application()
    server.router.add_route("*", "/{tail:.*}", respond)
    with running("platform-sign-in") as call:
        runner = web.AppRunner(server, access_log=None, handle_signals=False, shutdown_timeout=0.1)

        async def listen() -> int:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return int(runner.addresses[0][1])

        try:
            yield f"http://127.0.0.1:{call(listen())}"
        finally:
            call(runner.cleanup())


def session_of(request: web.Request, token: str) -> web.Response:
    """The answer of the platform to a browser that signs in or out."""
    login = request.path != "/.auth/logout"
    target = request.query["post_login_redirect_uri" if login else "post_logout_redirect_uri"]
    # it is not documented whether the real platform keeps the part after #
    answer = web.Response(status=302, headers={"Location": target.partition("#")[0]})
    if login:
        answer.set_cookie(SESSION, token, httponly=True)
    else:
        answer.del_cookie(SESSION)
    return answer
