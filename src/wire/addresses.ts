// Hosts and ports as they are written: an IPv6 address needs brackets wherever a port may follow. Pure.

/** The host as it stands in an address. */
export function bracketed(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

/** `host:port`. */
export function hostPort(host: string, port: number): string {
  return `${bracketed(host)}:${port}`;
}
