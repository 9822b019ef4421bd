"""A TCP relay between a device and a hub that can be cut."""

import contextlib
import socket
import threading


class Relay:
    def __init__(self, host, port):
        self.target, self.ends, self.lock = (host, port), set(), threading.Lock()
        self.port, self.listener, self.is_cut = 0, None, True
        self.mend()

    def mend(self):
        """From now on connections are relayed."""
        self.is_cut = False
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._listen, args=(self.listener,), daemon=True).start()

    def cut(self):
        """Closes all connections and refuses new ones."""
        # A thread in accept() would keep the port.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            self.is_cut = True
            for end in self.ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _listen(self, listener):
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near):
        try:
            far = socket.create_connection(self.target, timeout=10)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        with self.lock:
            self.ends |= {near, far}
            if self.is_cut:
                near.close()
                far.close()
                return
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
