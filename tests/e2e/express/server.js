// An upstream application: says which server answered, and what it was asked.
// usage: node server.js NAME PORT      PORT 0 takes a free one; the first line of output names it
const crypto = require("crypto");
const express = require("express");
const { WebSocketServer } = require("ws");

const [name, wanted] = [process.argv[2] || "01", Number(process.argv[3] || 0)];
const app = express();
app.disable("x-powered-by");

// Hashes the body as it streams by; nothing is gathered.
app.all("/digest", (req, res) => {
  const hash = crypto.createHash("sha256");
  let bytes = 0;
  req.on("data", (part) => { hash.update(part); bytes += part.length; });
  req.on("end", () => res.json({ server: name, bytes, sha256: hash.digest("hex") }));
});

// N bytes, with a known content, with Content-Length or chunked.
app.get("/bytes/:count", (req, res) => {
  const count = Number(req.params.count);
  const part = Buffer.alloc(64 * 1024, "0123456789abcdef");
  if (!("chunked" in req.query)) res.set("Content-Length", String(count));
  res.type("application/octet-stream");
  let left = count;
  const more = () => {
    while (left > 0) {
      const now = part.subarray(0, Math.min(left, part.length));
      left -= now.length;
      if (!res.write(now)) return res.once("drain", more);
    }
    res.end();
  };
  more();
});

app.all("/echo", (req, res) => { res.status(200); req.pipe(res); });
app.all("/status/:code", (req, res) => res.status(Number(req.params.code)).end());
app.get("/slow/:ms", (req, res) => setTimeout(() => res.json({ server: name }), Number(req.params.ms)));
app.get("/event-stream", (req, res) => {
  res.type("text/event-stream");
  let n = 0;
  const timer = setInterval(() => {
    res.write(`data: ${n}\n\n`);
    if (++n === 3) { clearInterval(timer); res.end(); }
  }, 50);
});
app.use((req, res) => {
  res.json({ server: name, pid: process.pid, port: server.address().port, method: req.method, url: req.originalUrl,
             headers: req.headers });
});

const server = app.listen(wanted, "127.0.0.1", () => console.log(server.address().port));
server.keepAliveTimeout = 30000;
const sockets = new WebSocketServer({ server, path: "/socket" });
sockets.on("connection", (socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
process.on("SIGTERM", () => process.exit(0));
