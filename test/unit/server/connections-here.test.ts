import { describe, expect, it } from "vitest";
import { Connection } from "../../../src/index.ts";
import { ConnectionsHere } from "../../../src/server/connections-here.ts";
import { StreamSocket } from "../fakes.ts";

describe("the connections of a process", () => {
  it("are found in every pool of their namespace, as long as that pool has the namespace", () => {
    const here = new ConnectionsHere();
    const pools = ["a", "b"].map((id) => new Map([[id, new Connection(id, "default", new StreamSocket())]]));
    const forgets = pools.map((pool) => here.add("default", (id) => pool.get(id)));
    const found = (): (string | undefined)[] => ["a", "b", "c"].map((id) => here.find("default", id)?.id);
    expect(found()).toEqual(["a", "b", undefined]);
    expect(here.find("other", "a")).toBeUndefined();
    forgets[0]?.();
    expect(found()).toEqual([undefined, "b", undefined]);
    forgets[1]?.();
    expect(found()).toEqual([undefined, undefined, undefined]);
  });
});
