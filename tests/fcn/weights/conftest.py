"""A web server on this machine that files are fetched from."""

import http.server
import threading

import pytest


class Server:
    """A web server on this machine: path → function of (handler, first byte asked for)."""

    def __init__(self):
        self.asked = []  # (path, Range header)
        self.answers = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                outer.asked.append((self.path, asked))
                answer = outer.answers.get(self.path)
                if answer is None:
                    self.send_error(404)
                else:
                    answer(self, int(asked[len("bytes=") : -1]) if asked else None)

            def log_message(self, *_):
                pass

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.home = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def put(self, path, answer):
        self.answers[path] = answer
        return self.home + path

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()
