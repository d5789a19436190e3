// Makes one of everything, uses it, stops it, and does not say that it is done: the process ends only if nothing is left over.
import { ChannelClient, ChannelServer, HubAdapter } from "../../../dist/hub/index.js";
import { MessageRecord } from "../../../dist/testing/index.js";

const server = new ChannelServer("127.0.0.1", 0);
await server.listen();
const { port } = server.address;

const linked = new HubAdapter({ port });
await new Promise((up) => {
  linked.start({ receive() {}, up, down() {} });
});
await linked.subscribe("topic");
await linked.publish("topic", MessageRecord.of([]));

const client = await ChannelClient.connect("127.0.0.1", port);
client.on("event", () => {});
await ChannelClient.publish("event", 1);
void ChannelClient.publish("event", 2);
await ChannelClient.close();

const dialling = new HubAdapter({ port });
dialling.start({ receive() {}, up() {}, down() {} });
await dialling.stop();

await server.close();
await new Promise((down) => {
  const retrying = new HubAdapter({ port });
  retrying.start({ receive() {}, up() {}, down });
  globalThis.retrying = retrying;
});
await globalThis.retrying.stop();
await linked.stop();
console.log("everything is stopped");
