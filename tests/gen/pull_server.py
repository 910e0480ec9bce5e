#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A model hub of one file, for tests/test_pull.sh, with everything that can go wrong.

    pull_server.py MODEL.gguf FOLDER SPLIT FILES
    (SPLIT-00001-of-00002.gguf is a file; FILES/folders and FILES/meta have model folders)

It listens on two free ports of 127.0.0.1 and writes them to FOLDER/port and FOLDER/port2.  The name
of a repository, t/NAME, says what goes wrong with it.  Each request is a line of FOLDER/log: port,
path, Range, whether it had a token, status.  Ends when FOLDER/stop appears or its parent is gone.
"""

import hashlib
import http.server
import json
import os
import sys
import threading
import time

data = open(sys.argv[1], "rb").read()
folder = sys.argv[2]
split = [open(f"{sys.argv[3]}-{i:05d}-of-00002.gguf", "rb").read() for i in (1, 2)]
sha = hashlib.sha256(data).hexdigest()
folders = {"torch": os.path.join(sys.argv[4], "meta/hf")}
for name in ("folder", "folderlong", "foldershort", "folderhtml", "folderout"):
    folders[name] = os.path.join(sys.argv[4], "folders/qwen2-f32")
lock = threading.Lock()
count = {}
ports = []


def entry(path, size=len(data), oid=sha):
    return {"type": "file", "path": path, "size": size, "oid": "0" * 40,
            "lfs": {"oid": oid, "size": size, "pointerSize": 130}}


HOSTILE = {
    "dots": "../../evil.gguf", "middle": "a/../../../evil.gguf", "absolute": "/tmp/evil.gguf",
    "control": "a\x1b[2Jb.gguf", "newline": "a\nb.gguf", "hidden": ".ssh/evil.gguf",
    "empty": "a//b.gguf", "back": "a\\..\\b.gguf", "long": "x" * 300 + ".gguf",
}


def listing(name):
    if name in folders:  # the weights, as the hub does, with a SHA-256, the texts without
        there = [(f, open(os.path.join(folders[name], f), "rb").read())
                 for f in sorted(os.listdir(folders[name]))]
        there = [entry(f, len(d), hashlib.sha256(d).hexdigest()) for f, d in there]
        for e in there:
            if e["path"].endswith(".json"):
                del e["lfs"]
        beside = ["adapter_model.safetensors", "consolidated.safetensors", "onnx/model.safetensors",
                  "training_args.bin", ".gitattributes", "README.md"]
        if name == "folder":
            beside += ["pytorch_model.bin", "pytorch_model.bin.index.json"]
        return there + [entry(f) for f in beside]
    if name in HOSTILE:
        return [entry(HOSTILE[name])]
    if name == "quants":
        return [entry(f"m-{q}.gguf") for q in ("Q4_K_M", "Q4_K_S", "Q8_0", "IQ4_XS")] + [
            entry("mmproj-Q8_0.gguf"), {"type": "directory", "path": "x"}, entry("README.md")]
    if name == "beside":
        return [entry("m-f16.gguf"), entry("m-mmproj-f16.gguf"), entry("imatrix_m-f16.gguf")]
    if name == "noquants":
        return [entry("m-Q5_0.gguf"), entry("m-Q8_0.gguf")]
    if name == "missingpart":
        return [entry("m-00001-of-00003.gguf"), entry("m-00003-of-00003.gguf")]
    if name == "parts":  # in a folder, with a blank in its name, and far from all of them models
        return [entry(f"Q8 0/m-{i:05d}-of-00002.gguf", len(d), hashlib.sha256(d).hexdigest())
                for i, d in ((2, split[1]), (1, split[0]))] + [entry("m-Q4_0.gguf")]
    if name == "nomodel":
        return [entry("README.md")]
    if name == "badsha":
        return [entry("model.gguf", oid="0" * 64)]
    if name == "badsize":
        return [entry("model.gguf", size=len(data) + 1)]
    if name == "nogguf":
        return [entry("model.gguf", size=5000, oid=hashlib.sha256(b"x" * 5000).hexdigest())]
    if name == "huge":
        return [entry("model.gguf", size=1 << 52)]
    if name == "negative":
        return [entry("model.gguf", size=-5)]
    return [entry("model.gguf")]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self, status):
        with lock, open(os.path.join(folder, "log"), "a") as f:
            token = "token" if self.headers.get("Authorization") == "Bearer sesame" else "none"
            print(self.server.server_port, self.path, self.headers.get("Range", "-"), token, status,
                  file=f)

    def answer(self, status, body=b"", headers=(), length=None, cut=None):
        self.note(status)
        self.send_response(status)
        for k, v in headers:
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None or length is not None:
            self.close_connection = True

    def do_GET(self):
        if self.path.startswith("http://"):  # asked as a proxy
            self.path = "/" + self.path.split("/", 3)[3]
        path = self.path.split("?")[0]
        parts = path.strip("/").split("/")
        if path.startswith("/api/models/t/") and len(parts) >= 4:
            return self.api(parts[3])
        if parts[0] == "cdn":
            return self.cdn()
        if parts[0] == "t" and len(parts) >= 5:
            return self.file(parts[1])
        if parts[0] == "plain":
            return self.send_file({"ETag": '"plain"'})
        if parts[0] == "elsewhere":
            return self.send_file({"ETag": '"elsewhere"'})
        self.answer(404)

    def api(self, name):
        if "recursive=true" not in self.path:  # as the hub documents it
            return self.answer(400)
        if name == "unknown":
            return self.answer(404)
        if name == "locked" and self.headers.get("Authorization") != "Bearer sesame":
            return self.answer(401)
        if name == "moved":
            return self.answer(307, headers=[("Location", self.path.replace("moved", "normal"))])
        if name == "gated":
            status = 403 if self.headers.get("Authorization") else 401
            return self.answer(status, headers=[("X-Error-Code", "GatedRepo")])
        if name == "notoken" and self.headers.get("Authorization"):
            return self.answer(401, headers=[("X-Error-Message", "Invalid credentials")])
        if name in ("paged", "endless"):
            page = int((self.path + "&cursor=0").split("&cursor=")[1].split("&")[0])
            if name == "endless" or page < 2:
                link = f"</api/models/t/{name}/tree/main?recursive=true&cursor={page + 1}>"
                return self.answer(200, b"[]", [("Link", link + '; rel="next"')])
        if name in ("nextfile", "nextelse") and self.server.server_port == ports[0]:
            link = "file:///etc/passwd" if name == "nextfile" else f"http://127.0.0.1:{ports[1]}{self.path}"
            return self.answer(200, b"[]", [("Link", f'<{link}>; rel="next"')])
        if name == "notjson":
            return self.answer(200, b"<html>hello</html>")
        if name == "object":
            return self.answer(200, b'{"error": "no"}')
        self.answer(200, json.dumps(listing(name)).encode())

    def file(self, name):
        with lock:
            n = count[name] = count.get(name, 0) + 1
        if name in folders:
            path = os.path.join(folders[name], os.path.basename(self.path))
            if not os.path.exists(path):
                return self.answer(404)
            body = open(path, "rb").read()
            if name == "folderhtml" and path.endswith(".safetensors"):
                body = b"<html>".ljust(len(body))
            if name == "folderlong":
                body += b" "
            if name == "foldershort":
                body = body[:-1]
            if name == "folderout":
                body = body.replace(b"model-00002-of-00002.", b"../../../t/mode/evil.")
            if path.endswith(".json"):  # made as it is sent: neither ranges nor a length
                self.note(200)
                self.close_connection = True
                return self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
            return self.send_file({"ETag": '"f"'}, body=body)
        if name == "gone":
            return self.answer(404)
        if name == "busy" and n % 2:
            return self.answer(429, headers=[("Retry-After", "0")])
        if name == "limited" and n == 2:
            return self.answer(429, headers=[("RateLimit", '"resolvers";r=0;t=1')])
        if name == "moved":
            return self.answer(307, headers=[("Location", self.path.replace("moved", "normal"))])
        if name in ("xet", "xetbad"):  # what the hub signs is good for the range that was asked for
            signed = self.headers.get("Range", "").replace("=", "%3D")
            return self.answer(302, headers=[
                ("Location", f"http://127.0.0.1:{ports[1]}/cdn/x?range={signed}&n={n}"),
                ("ETag", f'"{n}"'), ("X-Linked-ETag", '"%s"' % (sha if name == "xet" else "0" * 64)), ("X-Linked-Size", len(data))])
        if name == "whole":  # one cache on the way knows no ranges
            if not self.headers.get("Range", "").endswith("-0") and n % 2:
                return self.answer(200, data, [("ETag", '"whole"')])
            return self.send_file({"ETag": '"whole"'})
        if name == "broken":
            return self.answer(500, b"oops")
        if name == "loop":
            return self.answer(302, headers=[("Location", self.path)])
        if name == "elsewhere":
            port = ports[1]
            return self.answer(302, headers=[("Location", f"http://127.0.0.1:{port}/elsewhere/x")])
        if name == "mirrored":  # this hub is a mirror, and the other one refuses
            if self.server.server_port == ports[1]:
                return self.answer(401, headers=[("X-Error-Code", "GatedRepo")])
            return self.answer(302, headers=[("Location", f"http://127.0.0.1:{ports[1]}{self.path}")])
        if name == "filescheme":
            return self.answer(302, headers=[("Location", "file:///etc/passwd")])
        if name == "norange":
            return self.answer(200, data)
        if name == "norangecut":
            return self.answer(200, data, cut=len(data) // 2 if n == 2 else None)
        if name == "nogguf":
            return self.send_file({"ETag": '"x"'}, body=b"x" * 5000)
        if name == "wrongplace":
            return self.send_file({"ETag": '"w"'}, shift=1)
        if name == "cut":  # every second answer breaks off
            return self.send_file({"ETag": '"cut"'}, cut=100000 if n % 2 else None)
        if name == "stuck":  # nothing of the last tenth ever comes, until it is mended
            mended = os.path.exists(os.path.join(folder, "mended"))
            return self.send_file({"ETag": '"stuck"'}, upto=None if mended else len(data) * 9 // 10)
        if name == "changes":  # the same, and then the file is another
            mended = os.path.exists(os.path.join(folder, "mended"))
            return self.send_file({"ETag": '"new"' if mended else '"old"'},
                                  upto=None if mended else len(data) * 9 // 10)
        if name == "slow":  # the end keeps one waiting
            if not os.path.exists(os.path.join(folder, "mended")):
                first = int((self.headers.get("Range") or "bytes=0-").split("=")[1].split("-")[0])
                if first >= 2 << 20:
                    time.sleep(20)
            return self.send_file({"ETag": '"slow"'})
        if name == "longer":  # promises more than comes
            return self.send_file({"ETag": '"l"'}, length=10)
        if name == "parts" and "-of-00002" in self.path:
            if "/Q8%200/" not in self.path:
                return self.answer(404)
            return self.send_file({"ETag": '"part"'}, body=split["00002-of" in self.path])
        self.send_file({"ETag": '"ok"'})

    def cdn(self):
        query = dict(v.split("=") for v in self.path.split("?")[1].split("&"))
        if query["range"].replace("%3D", "=") != self.headers.get("Range") or int(query["n"]) % 3 == 0:
            return self.answer(403, b"Auth failed: invalid range")
        self.send_file({"ETag": f'"cache {query["n"]}"'})

    def send_file(self, headers, cut=None, upto=None, body=data, shift=0, length=0):
        headers = list(headers.items())
        r = self.headers.get("Range")
        etag = dict(headers)["ETag"]
        if not r or (self.headers.get("If-Range") or etag) != etag:
            return self.answer(200, body, headers)
        first, last = (int(v) for v in r.split("=")[1].split("-"))
        last = min(last, len(body) - 1)
        part = body[first:last + 1]
        headers.append(("Content-Range", f"bytes {first + shift}-{last + shift}/{len(body)}"))
        if upto is not None and last >= upto and last > 0:
            return self.answer(206, part, headers, cut=max(0, upto - first))
        if cut is not None and len(part) > cut:
            return self.answer(206, part, headers, cut=cut)
        if length and last > 0:
            return self.answer(206, part, headers, length=len(part) + length)
        self.answer(206, part, headers)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args):
        pass


for name in ("port", "port2"):
    s = Server(("127.0.0.1", 0), Handler)
    ports.append(s.server_port)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    with open(os.path.join(folder, name + ".new"), "w") as f:
        f.write(str(s.server_port))
    os.rename(os.path.join(folder, name + ".new"), os.path.join(folder, name))
parent = os.getppid()
while os.getppid() == parent and not os.path.exists(os.path.join(folder, "stop")):
    time.sleep(0.1)
