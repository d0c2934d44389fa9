// The guide's server with its Redis adapter, without the lines it logs per client.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const httpServer = createServer((request, response) => response.end("ok"));

const io = new Server(httpServer, {
  cors: {
    origin: process.env.SOCKETIO_CORS_ORIGIN || "http://localhost:5173",
    methods: ["GET", "POST"],
  },
  transports: ["websocket", "polling"],
});

const pubClient = createClient({ url: process.env.REDIS_URL });
const subClient = pubClient.duplicate();
await Promise.all([pubClient.connect(), subClient.connect()]);
io.adapter(createAdapter(pubClient, subClient));

function namespace(name, verb, kind) {
  io.of(name).on("connection", (socket) => {
    socket.on(`subscribe-${verb}`, (id) => {
      socket.join(`${kind}:${id}`);
      socket.emit("subscribed", { [`${kind}Id`]: id });
    });
    socket.on(`unsubscribe-${verb}`, (id) => {
      socket.leave(`${kind}:${id}`);
    });
  });
}

namespace("/jobs", "job", "job");
namespace("/notifications", "user", "user");
namespace("/analytics", "brand", "brand");

httpServer.listen(process.env.PORT || 3000, process.env.HOST || "127.0.0.1");
