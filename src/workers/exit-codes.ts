// The codes that a primary ends with (sysexits.h, but for 1 and 2).
export const EXIT = { done: 0, failure: 1, usage: 2, unavailable: 69, setting: 78 } as const;
