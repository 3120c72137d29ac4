"""gRPC channels that are closed with their cluster."""

import grpc


class Channels:
    def __init__(self) -> None:
        self._open: dict[str, grpc.Channel] = {}

    def open(self, address: str) -> grpc.Channel:
        if address not in self._open:
            options = [("grpc.enable_http_proxy", 0)]
            self._open[address] = grpc.insecure_channel(address, options=options)
        return self._open[address]

    def close(self) -> None:
        for channel in self._open.values():
            channel.close()
        self._open.clear()
