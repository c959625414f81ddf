"""An app that answers when it is told to. Runs inside the machine: python3 app.py PORT

GET /held writes a line "held" to standard output and is answered after a line "release" came on standard input;
every other path is answered at once. Python's standard library is enough here: a handful of requests is all it gets.
"""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

released = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        is_held = self.path.partition("?")[0].endswith("/held")
        if is_held:
            print("held", flush=True)
            released.wait()
        body = b"released\n" if is_held else b"ok\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print("listening", flush=True)
for line in sys.stdin:
    if line.strip() == "release":
        released.set()
