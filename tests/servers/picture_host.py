"""A web server that has one picture, at whatever path."""

from tests.servers.loopback import Answer, LoopbackServer, Raw, Received, Status

PNG = b"\x89PNG\r\n\x1a\n" + b"picture"


class PictureHost(LoopbackServer):
    async def answer(self, request: Received, answer: Answer) -> None:
        fault = self.scripted()
        if isinstance(fault, Status):
            await answer.whole(fault.body, fault.code, fault.headers)
        else:
            data = fault if isinstance(fault, Raw) else Raw((PNG,), "image/png")
            await answer.stream([], data.content_type, data)
