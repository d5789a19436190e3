// Makes an adapter of the hub for a process of its own, with a planted fault if one is asked for.
import { HubAdapter } from "../../../dist/hub/index.js";
import { encodeTopic, MessageRecord } from "../../../dist/testing/index.js";

export function makeAdapter({ fault, ...options }) {
  const adapter = new HubAdapter(options);
  return fault === undefined ? adapter : { ...whole(adapter), ...FAULTS[fault](adapter) };
}

/** The adapter's calls as an object, so that a fault can replace one of them. */
function whole(adapter) {
  return {
    immediate: adapter.immediate,
    start: (events) => adapter.start(events),
    subscribe: (topic) => adapter.subscribe(topic),
    unsubscribe: (topic) => adapter.unsubscribe(topic),
    publish: (topic, record) => adapter.publish(topic, record),
    will: (topic, record) => adapter.will(topic, record),
    stop: () => adapter.stop(),
  };
}

/** Replaces what becomes of a record that has arrived: `hear(record, handOver)`. */
function hearing(adapter, hear) {
  return {
    start(events) {
      const receive = (topic, record) => hear(record, (handed) => events.receive(topic, handed));
      adapter.start({ up: () => events.up(), down: (reason) => events.down(reason), receive });
    },
  };
}

/** Everything that is published goes out on this topic, too, and comes to every process. */
const EVERYTHING = encodeTopic({ kind: "event", event: "everything" });

const FAULTS = {
  "no own copy"(adapter) {
    const own = [];
    return {
      publish(topic, record) {
        own.push(Buffer.from(record.bytes).toString("base64"));
        return adapter.publish(topic, record);
      },
      ...hearing(adapter, (record, handOver) => {
        const index = own.indexOf(Buffer.from(record.bytes).toString("base64"));
        if (index < 0) handOver(record);
        else own.splice(index, 1);
      }),
    };
  },

  "late subscribe"(adapter) {
    return {
      subscribe(topic) {
        setTimeout(() => adapter.subscribe(topic)?.catch(() => {}), 20);
        return undefined;
      },
    };
  },

  "hasty subscribe"(adapter) {
    return {
      subscribe(topic) {
        adapter.subscribe(topic)?.catch(() => {});
        return undefined;
      },
    };
  },

  reordered(adapter) {
    let count = 0;
    let overtaken;
    return hearing(adapter, (record, handOver) => {
      if (++count % 7 === 0 && overtaken === undefined) {
        overtaken = () => handOver(record);
        setImmediate(letGo);
        return;
      }
      handOver(record);
      letGo();
    });

    function letGo() {
      const handOver = overtaken;
      overtaken = undefined;
      handOver?.();
    }
  },

  doubled(adapter) {
    let count = 0;
    return hearing(adapter, (record, handOver) => {
      handOver(record);
      if (++count % 7 === 0) handOver(record);
    });
  },

  lost(adapter) {
    let count = 0;
    return hearing(adapter, (record, handOver) => {
      if (++count % 7 !== 0) handOver(record);
    });
  },

  altered(adapter) {
    return hearing(adapter, (record, handOver) => {
      const blank = (byte, at) => (at > 9 && byte === 0 ? 32 : byte);
      handOver(MessageRecord.of([...record.messages()].map((message) => ({ ...message, frame: message.frame.map(blank) }))));
    });
  },

  "dead after up"(adapter) {
    const topics = new Set();
    return {
      start(events) {
        const up = () => {
          for (const topic of topics) adapter.unsubscribe(topic);
          events.up();
        };
        adapter.start({ up, down: (reason) => events.down(reason), receive: (topic, record) => events.receive(topic, record) });
      },
      subscribe(topic) {
        topics.add(topic);
        return adapter.subscribe(topic);
      },
      unsubscribe(topic) {
        topics.delete(topic);
        adapter.unsubscribe(topic);
      },
    };
  },

  "no interest routing"(adapter) {
    return {
      start(events) {
        const receive = (topic, record) => {
          if (topic !== EVERYTHING) events.receive(topic, record);
        };
        adapter.start({ up: () => events.up(), down: (reason) => events.down(reason), receive });
        adapter.subscribe(EVERYTHING)?.catch(() => {});
      },
      publish(topic, record) {
        adapter.publish(EVERYTHING, record).catch(() => {});
        return adapter.publish(topic, record);
      },
    };
  },

  "will at stop"(adapter) {
    let left = () => Promise.resolve();
    return {
      will(topic, record) {
        left = () => adapter.publish(topic, record);
        adapter.will(topic, record);
      },
      async stop() {
        await left();
        await adapter.stop();
      },
    };
  },

  "something left"(adapter) {
    return {
      async stop() {
        await adapter.stop();
        setInterval(() => {}, 1_000);
      },
    };
  },
};
