// What every peer does besides serving: it ends with the bench, and collects its garbage when the bench wants to know what it really holds.
export function stopWithTheBench() {
  process.stdin.on("end", () => process.exit(0)).resume(); // the bench holds the other end, however it ends
  process.on("SIGUSR2", () => {
    if (globalThis.Bun) globalThis.Bun.gc(true);
    else for (let i = 0; i < 2; i++) globalThis.gc?.(); // the second time finds what the first has finalised
  });
}
