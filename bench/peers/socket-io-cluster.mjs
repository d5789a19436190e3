// Socket.IO with rooms and its Redis adapter: two nodes with two workers each that share the node's port.
import cluster from "node:cluster";
import { fork } from "node:child_process";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";
import { stopWithTheBench } from "./stop.mjs";

const NODES = 2;
const WORKERS = 2;

if (process.env.ROLE === undefined) startNodes();
else if (cluster.isPrimary) startWorkers();
else await serve();

function startNodes() {
  stopWithTheBench();
  const ports = [];
  for (let node = 0; node < NODES; node++) {
    const child = fork(fileURLToPath(import.meta.url), { env: { ...process.env, ROLE: "node" } });
    process.on("exit", () => child.kill("SIGKILL"));
    child.on("message", (port) => {
      if (ports.push(port) === NODES) console.log(`listening ${ports.join(" ")}`);
    });
  }
}

function startWorkers() {
  process.on("disconnect", () => process.exit(0));
  let listening = 0;
  cluster.on("listening", (_worker, { port }) => {
    if (++listening === WORKERS) process.send(port);
  });
  for (let worker = 0; worker < WORKERS; worker++) cluster.fork();
}

async function serve() {
  const publisher = createClient({ url: process.env.REDIS_URL });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const http = createServer();
  const io = new Server(http, { transports: ["websocket"], serveClient: false, adapter: createAdapter(publisher, subscriber) });
  io.on("connection", (socket) => {
    socket.on("add_group", (group) => void socket.join(group));
    socket.on("send_to_group", (group, message) => void io.to(group).emit("m", message));
  });
  http.listen(0, "127.0.0.1");
}
