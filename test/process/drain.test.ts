// A drain as its clients see it: real sockets, and their own clocks.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { WebSocketMiddleware } from "../../dist/index.js";
import { Client } from "./client.ts";

const undo: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

/** The most events in any window of one second. */
function mostPerSecond(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  return Math.max(...sorted.map((from) => sorted.filter((time) => time >= from && time - from < 1_000).length));
}

it.each([
  ["one namespace", 1],
  ["five namespaces", 5],
])("closes 25 connections of %s at 10 a second, never more in any second, and resolves after the last", async (_, namespaces) => {
  const http = createServer();
  const middleware = new WebSocketMiddleware(undefined, { namespace: (request) => `n${Number(request.url?.slice(1)) % namespaces}` });
  middleware.attach(http);
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  undo.push(
    () => http.close(),
    () => middleware.close(),
  );
  const { port } = http.address() as AddressInfo;
  const clients = await Promise.all(Array.from({ length: 25 }, (_, index) => Client.open(port, `/${index}`)));
  await expect.poll(() => middleware.pool.size).toBe(25);
  const closedAt: number[] = [];
  const closes = clients.map((client) => client.closed.then(({ code }) => (closedAt.push(performance.now()), code)));

  const startedAt = performance.now();
  const draining = middleware.pool.drainConnections(10);
  expect(middleware.pool.drainConnections(10)).toBe(draining);
  const report = await draining;
  expect(middleware.pool.size).toBe(0);
  expect(new Set(await Promise.all(closes))).toEqual(new Set([1012]));
  expect(mostPerSecond(closedAt)).toBeLessThanOrEqual(10);
  // 25 at 10 a second cannot take less than 2 s; more than twice that would be another rate.
  const tookMs = Math.max(...closedAt) - startedAt;
  expect(tookMs).toBeGreaterThan(1_900);
  expect(tookMs).toBeLessThan(5_000);
  expect(report).toMatchObject({ closed: 25, forced: 0 });
});
