// A server that is wrong on purpose, to prove that the load generator notices: FAULT is drop, duplicate, swap, corrupt, close or none,
// and befalls one member in one message of EVERY.
import { WebSocketServer } from "ws";
import { stopWithTheBench } from "./stop.mjs";

stopWithTheBench();
const { FAULT = "none", EVERY = "100" } = process.env;
const every = Number(EVERY);
const members = [];
let messages = 0;
let held;

// What the unlucky member gets instead of the message.
const FAULTS = {
  drop: () => [],
  duplicate: (text) => [text, text],
  swap: (text) => ((held = text), []), // comes after the next one
  corrupt: (text) => [`${text.slice(0, -1)}${text.endsWith("!") ? "?" : "!"}`],
  close: (text, member) => (member.terminate(), [text]),
};

function send(text) {
  const isFaulty = ++messages % every === 0;
  members.forEach((member, index) => {
    const isUnlucky = index === 1;
    const texts = isUnlucky && isFaulty && FAULT in FAULTS ? FAULTS[FAULT](text, member) : [text];
    for (const each of texts) member.send(each);
    if (!isUnlucky || isFaulty || held === undefined) return;
    member.send(held);
    held = undefined;
  });
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 }, () => console.log(`listening ${server.address().port}`));
server.on("connection", (client) => {
  client.on("message", (data) => {
    const command = JSON.parse(data.toString());
    if (command.cmd === "add_group") members.push(client);
    else send(command.message);
  });
  client.on("error", () => {});
});
