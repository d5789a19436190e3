import { fc } from "../generate.ts";
import { describe, expect, it } from "vitest";
import { ERRORS, GroupcastError } from "../../../src/base/errors.ts";
import {
  COMMAND_ID_LENGTH_MAX,
  DEPTH_MAX,
  describe as describeError,
  encodeError,
  encodeOk,
  readCommand,
} from "../../../src/wire/commands.ts";

/** A send_to_group whose message stands in it as `source`. */
const sending = (source: string): string => `{"cmd":"send_to_group","group_id":"123","message":${source}}`;
const refused = (error: string, id?: unknown) => expect.objectContaining({ cmd: "refused", error, id });

describe("the four commands of the source documents", () => {
  it("are read", () => {
    expect(readCommand('{"cmd":"add_group","group_id":"123"}')).toEqual({ cmd: "add_group", group: "123", id: undefined });
    expect(readCommand('{"cmd":"leave_group","group_id":"123"}')).toEqual({ cmd: "leave_group", group: "123", id: undefined });
    expect(readCommand('{"cmd":"count_group","group_id":"123","id":5}')).toEqual({ cmd: "count_group", group: "123", id: 5 });
    expect(readCommand('{"cmd":"send_to_group","group_id":"123","message":"hi"}')).toEqual({
      cmd: "send_to_group",
      group: "123",
      id: undefined,
      text: "hi",
      kind: "string",
    });
  });

  it("may have their fields in any order, and others beside them", () => {
    expect(readCommand('{ "message" : "hi" , "x":{"cmd":"leave_group"}, "group_id":"1","cmd":"send_to_group" }')).toMatchObject({
      cmd: "send_to_group",
      group: "1",
      text: "hi",
    });
  });
});

// Each row kills a process of the source system, or is taken there for something that it is not (PHP's array keys).
describe("what kills or confuses the source system", () => {
  it.each<[what: string, text: string, error: string]>([
    ["an array as group id", '{"cmd":"add_group","group_id":[]}', "bad_group"],
    ["an object as group id", '{"cmd":"add_group","group_id":{}}', "bad_group"],
    ["null as group id", '{"cmd":"add_group","group_id":null}', "bad_group"],
    ["no group id", '{"cmd":"add_group"}', "bad_group"],
    ["an empty group id", '{"cmd":"add_group","group_id":""}', "bad_group"],
    ["true as group id", '{"cmd":"add_group","group_id":true}', "bad_group"],
    ["a fraction as group id", '{"cmd":"add_group","group_id":1.9}', "bad_group"],
    ["a number too long to be kept exactly as group id", '{"cmd":"add_group","group_id":9007199254740993}', "bad_group"],
    ["a control character in a group id", '{"cmd":"add_group","group_id":"a\\u0000b"}', "bad_group"],
    ["half a character in a group id", '{"cmd":"add_group","group_id":"\\ud83d"}', "bad_group"],
    ["a group id of 201 bytes", `{"cmd":"add_group","group_id":"${"g".repeat(201)}"}`, "bad_group"],
    ["an object as group id of a message", '{"cmd":"send_to_group","group_id":{},"message":"hi"}', "bad_group"],
    ["a string at the top", '"str"', "bad_json"],
    ["a number at the top", "123", "bad_json"],
    ["null at the top", "null", "bad_json"],
    ["an array at the top", "[]", "bad_json"],
    ["an array with a command in it", '[{"cmd":"add_group","group_id":"1"}]', "bad_json"],
    ["no text", "", "bad_json"],
    ["text that is not JSON", "hello", "bad_json"],
    ["broken JSON", '{"cmd":"add_group","group_id":"123"', "bad_json"],
    ["JSON with something behind it", '{"cmd":"add_group","group_id":"123"}}', "bad_json"],
    ["a byte order mark before JSON", '\ufeff{"cmd":"add_group","group_id":"123"}', "bad_json"],
    ["single quotes", "{'cmd':'add_group'}", "bad_json"],
    ["no command", "{}", "unknown_command"],
    ["an unknown command", '{"cmd":"destroy_group","group_id":"1"}', "unknown_command"],
    ["a command in capitals", '{"cmd":"ADD_GROUP","group_id":"1"}', "unknown_command"],
    ["a command of another type", '{"cmd":["add_group"],"group_id":"1"}', "unknown_command"],
    ["the name of something that every object has", '{"cmd":"toString","group_id":"1"}', "unknown_command"],
    ["a command inside __proto__", '{"__proto__":{"cmd":"add_group","group_id":"1"}}', "unknown_command"],
    ["no message", '{"cmd":"send_to_group","group_id":"123"}', "bad_json"],
  ])("%s is refused", (_, text, error) => {
    expect(readCommand(text)).toEqual(refused(error));
  });

  it('takes 123 and "123" for the same group, and __proto__ for an ordinary name', () => {
    expect(readCommand('{"cmd":"add_group","group_id":123}')).toMatchObject({ cmd: "add_group", group: "123" });
    expect(readCommand('{"cmd":"add_group","group_id":0}')).toMatchObject({ group: "0" });
    expect(readCommand('{"cmd":"add_group","group_id":-5}')).toMatchObject({ group: "-5" });
    expect(readCommand('{"cmd":"add_group","group_id":"__proto__"}')).toMatchObject({ cmd: "add_group", group: "__proto__" });
    expect(readCommand('{"cmd":"send_to_group","group_id":"constructor","message":"__proto__"}')).toMatchObject({ text: "__proto__" });
  });

  it.each<[source: string]>([["42"], ["true"], ["false"], ["1.5"], ["null"], ["{}"], ["[]"], ['{"a":[1,{"b":null}]}'], ["-0"], ["1e3"]])(
    "passes the message %s on as its JSON text",
    (source) => {
      expect(readCommand(sending(source))).toMatchObject({ cmd: "send_to_group", kind: "json", text: source });
    },
  );

  it("passes an empty string on as an empty message, and text with NUL, emoji and half characters as it is", () => {
    for (const text of ["", "\0", "😀", "Esta é a mensagem", "\ud83d", '"', "\\", "null"]) {
      expect(readCommand(sending(JSON.stringify(text)))).toMatchObject({ kind: "string", text });
    }
  });
});

describe("deep nesting", () => {
  const nested = (levels: number, open = "[", close = "]"): string => open.repeat(levels) + close.repeat(levels);

  it("is refused beyond the limit, the command itself being the first level", () => {
    expect(readCommand(sending(nested(DEPTH_MAX - 1)))).toMatchObject({ text: nested(DEPTH_MAX - 1) });
    expect(readCommand(sending(nested(DEPTH_MAX)))).toEqual(refused("too_deep"));
    expect(readCommand(`{"id":7,${sending(nested(DEPTH_MAX)).slice(1)}`)).toEqual(refused("too_deep", 7));
  });

  it("of 100,000 levels is answered, whatever stands there and whether it is closed", () => {
    const levels = 100_000;
    expect(readCommand(sending(nested(levels)))).toEqual(refused("too_deep"));
    expect(readCommand(sending('{"a":'.repeat(levels) + "1" + "}".repeat(levels)))).toEqual(refused("too_deep"));
    expect(readCommand(nested(levels))).toEqual(refused("bad_json"));
    expect(readCommand("[".repeat(levels))).toEqual(refused("bad_json"));
    expect(readCommand(`{"cmd":"add_group","group_id":${nested(levels)}}`)).toEqual(refused("bad_group"));
    expect(readCommand(`{"id":${nested(levels)},"cmd":"add_group","group_id":"1"}`)).toMatchObject({ cmd: "add_group", id: undefined });
  });

  it("is counted by brackets outside of strings only", () => {
    const text = `[${JSON.stringify("[".repeat(1000))},${JSON.stringify('\\"{')}]`;
    expect(readCommand(sending(text))).toMatchObject({ text });
  });
});

describe("the JSON of a message", () => {
  it.each<[what: string, source: string]>([
    ["long numbers", "[12345678901234567890123, 0.10000000000000000000001, 1e400, -0.0]"],
    ["the order of keys", '{"b":1,"a":2,"10":3,"9":4}'],
    ["white space inside", '{ "a" :\t[ 1 ,\n 2 ] }'],
    ["the way that characters are escaped", '["\\u0041\\/\\ud83d\\ude00\\u00e9","é"]'],
    ["repeated keys", '{"a":1,"a":2}'],
    ["__proto__", '{"__proto__":{"x":1}}'],
    ["strings that look like its surroundings", '["}","]",",","\\"message\\":1","\\\\"]'],
    ["another message inside", '{"message":{"message":[{"message":1}]}}'],
  ])("keeps %s", (_, source) => {
    expect(readCommand(sending(source))).toMatchObject({ kind: "json", text: source });
  });

  it("is that of the last message, as JSON.parse has it", () => {
    expect(readCommand('{"message":[1],"cmd":"send_to_group","message":[2],"group_id":"1"}')).toMatchObject({ text: "[2]", kind: "json" });
    expect(readCommand('{"message":[1],"cmd":"send_to_group","message":"two","group_id":"1"}')).toMatchObject({
      text: "two",
      kind: "string",
    });
    expect(readCommand('{"message":"one","cmd":"send_to_group","message":null,"group_id":"1"}')).toMatchObject({
      text: "null",
      kind: "json",
    });
  });

  it("is found when the key is written in another way", () => {
    expect(readCommand('{"cmd":"send_to_group","group_id":"1","\\u006dessage":[1]}')).toMatchObject({ text: "[1]" });
    expect(readCommand('{"cmd":"send_to_group","group_id":"1","message":[1],"m\\u0065ss\\u0061ge":[2]}')).toMatchObject({ text: "[2]" });
  });

  it("is not looked for in keys that only look like it", () => {
    const text =
      '{"x":{"message":1},"cmd":"send_to_group","group_id":"1","message":{"y":2},"Message":3,"message ":4,"\\"message":5,"z":[{"message":6}]}';
    expect(readCommand(text)).toMatchObject({ text: '{"y":2}' });
  });

  it("is exactly what JSON.stringify wrote, for any value", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8, depthSize: "large" }), fc.jsonValue(), fc.jsonValue(), (message, before, after) => {
        const command = readCommand(JSON.stringify({ before, cmd: "send_to_group", message, group_id: 1, after }));
        if (typeof message === "string") expect(command).toMatchObject({ kind: "string", text: message });
        else expect(command).toMatchObject({ kind: "json", text: JSON.stringify(message) });
      }),
      { numRuns: 1000 },
    );
  });

  it("is exactly what stood there, for any spelling of keys, white space and repetition", () => {
    const space = fc.string({ unit: fc.constantFrom(" ", "\t", "\n", "\r"), maxLength: 3 });
    const escaped = (text: string): string => Array.from(text, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
    const key = fc.oneof(
      fc.constantFrom('"message"', `"${escaped("message")}"`, '"mess\\u0061ge"'),
      fc.constantFrom('"messag"', '"Message"', '"\\"message\\""', '"{"', '":"', '"\\\\"', '""', '"__proto__"'),
    );
    const json = fc.oneof(
      fc.jsonValue({ maxDepth: 5 }).map((value) => JSON.stringify(value)),
      fc.jsonValue({ maxDepth: 5 }).map((value) => JSON.stringify(value, null, 2)),
      fc.constantFrom("123456789012345678901234567890", "1E+2", '"\\"}"', '["\\\\"]', '"\\ud83d"', "{ }", "[ ]"),
    );
    const entry = fc.tuple(key, json, space, space);
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 6 }), (entries) => {
        const written = entries.map(([name, value, before, after]) => `${before}${name}${after}:${before}${value}${after}`);
        const text = `{${[...written, '"cmd":"send_to_group"', '"group_id":"1"'].join(",")}}`;
        const last = entries.findLast(([name]) => JSON.parse(name) === "message");
        const command = readCommand(text);
        if (last === undefined) expect(command).toEqual(refused("bad_json"));
        else if (last[1].startsWith('"')) expect(command).toMatchObject({ kind: "string", text: JSON.parse(last[1]) as string });
        else expect(command).toMatchObject({ kind: "json", text: last[1] });
      }),
      { numRuns: 1000 },
    );
  });

  it("never makes the reader throw, whatever the text is", () => {
    const brackets = fc.string({
      unit: fc.constantFrom("{", "}", "[", "]", ",", ":", '"', "\\", '"message"', '"cmd":"send_to_group"', "1", " "),
      maxLength: 40,
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: "binary" }),
          fc.json(),
          brackets,
          brackets.map((rest) => sending(rest)),
        ),
        (text) => {
          expect(["add_group", "leave_group", "send_to_group", "count_group", "refused"]).toContain(readCommand(text).cmd);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("the id of a command", () => {
  it.each<[id: string | number]>([
    [0],
    [7],
    [-1],
    [1.5],
    [Number.MAX_SAFE_INTEGER],
    [""],
    ["a"],
    ["😀"],
    ["x".repeat(COMMAND_ID_LENGTH_MAX)],
  ])("may be %j, and comes back in the answer", (id) => {
    expect(readCommand(JSON.stringify({ cmd: "add_group", group_id: "1", id })).id).toBe(id);
    expect(JSON.parse(encodeOk(id))).toEqual({ id, ok: true });
    expect(readCommand(JSON.stringify({ cmd: "nonsense", id }))).toEqual(refused("unknown_command", id));
    expect(readCommand(JSON.stringify({ cmd: "add_group", id }))).toEqual(refused("bad_group", id));
  });

  it.each<[source: string]>([
    ["{}"],
    ["[]"],
    ["[1]"],
    ["null"],
    ["true"],
    ["1e999"],
    [JSON.stringify("x".repeat(COMMAND_ID_LENGTH_MAX + 1))],
  ])("that is %s is none: the command takes effect and nobody is told", (source) => {
    expect(readCommand(`{"cmd":"add_group","group_id":"1","id":${source}}`)).toEqual({ cmd: "add_group", group: "1", id: undefined });
  });
});

describe("answers", () => {
  it("have the form of the documents", () => {
    expect(encodeOk(7)).toBe('{"id":7,"ok":true}');
    expect(encodeOk(5, { members: 2 })).toBe('{"id":5,"ok":true,"members":2}');
    expect(encodeError(7, "bad_group", "why")).toBe('{"id":7,"ok":false,"error":"bad_group","detail":"why","retry":false}');
    expect(JSON.parse(encodeError("x", "unavailable", "why"))).toMatchObject({ retry: true });
  });

  it("show our own errors, and hide what others say", () => {
    expect(describeError(new GroupcastError("forbidden", "members only"))).toEqual({ error: "forbidden", detail: "members only" });
    const secret = describeError(new Error("password=1234 at /home/me"));
    expect(secret).toEqual({ error: "internal", detail: ERRORS.internal.text });
  });
});
