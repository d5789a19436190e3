import { describe, expect, it } from "vitest";
import { drawTable } from "../../../src/workers/table.ts";

const facts = {
  version: "1.2.3",
  nodeVersion: "20.20.2",
  user: "liliang",
  channels: [],
  rows: [
    { name: "ChannelServer", listen: "tcp://0.0.0.0:2206", url: undefined, processes: 1 },
    { name: "none", listen: "websocket://0.0.0.0:1234", url: undefined, processes: 12 },
  ],
  colors: false,
};

describe("drawTable", () => {
  it("looks like Workerman's", () => {
    expect(drawTable(facts).split("\n")).toEqual([
      "---------------------------- GROUPCAST ----------------------------",
      "groupcast version: 1.2.3          Node version: 20.20.2",
      "----------------------------- WORKERS -----------------------------",
      "user     worker         listen                    processes  status",
      "liliang  ChannelServer  tcp://0.0.0.0:2206        1          [OK]",
      "liliang  none           websocket://0.0.0.0:1234  12         [OK]",
      "-------------------------------------------------------------------",
      "Press Ctrl-C to quit. Start success.",
    ]);
  });

  it("shows a broker, which is somebody else's process, and whether it is there; but no password", () => {
    const [, row] = facts.rows;
    const draw = (isLinked: boolean): string =>
      drawTable({ ...facts, channels: ["redis://app:secret@127.0.0.1:6379"], rows: [{ ...row!, isLinked }] });
    expect(draw(true).split("\n").slice(3, 6)).toEqual([
      "user     worker   listen                      processes  status",
      "-        channel  redis://***@127.0.0.1:6379  -          [OK]",
      "liliang  none     websocket://0.0.0.0:1234    12         [OK]",
    ]);
    expect(draw(false)).toMatch(/^- +channel .* - +\[down\]$/m);
  });

  it("ends with the address of the page, one that a browser can open", () => {
    const [row] = facts.rows;
    const last = (url: string): string | undefined =>
      drawTable({ ...facts, rows: [{ ...row!, url }] })
        .split("\n")
        .at(-1);
    expect(last("http://127.0.0.1:1234/")).toBe("Open http://127.0.0.1:1234/");
    expect(last("http://0.0.0.0:1234/")).toBe("Open http://127.0.0.1:1234/");
    expect(last("http://[::]:1234/")).toBe("Open http://[::1]:1234/");
  });

  it("grows with what it shows", () => {
    const text = drawTable({ ...facts, user: "u".repeat(40) });
    const widths = text.split("\n").map((line) => line.length);
    expect(widths[0]).toBe(Math.max(...widths));
    expect(widths[0]).toBe(widths[2]);
    expect(widths[0]).toBe(widths.at(-2));
  });

  it("has colour only where it is asked for", () => {
    expect(drawTable(facts)).not.toContain("\u001B");
    expect(drawTable({ ...facts, colors: true })).toContain("\u001B[32m[OK]\u001B[39m");
  });
});
