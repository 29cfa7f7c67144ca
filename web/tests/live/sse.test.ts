import { expect, test } from "vitest";
import { EventParser, TooLargeError } from "../../src/live/sse";

const read = (...pieces: string[]) => {
  const parser = new EventParser();
  return pieces.flatMap((piece) => parser.push(piece));
};

test("an event has a type, its data and the last id that was told", () => {
  expect(read("id: 1-0\nevent: node\ndata: {}\n\ndata: x\n\n")).toEqual([
    { type: "node", data: "{}", id: "1-0" },
    { type: "message", data: "x", id: "1-0" },
  ]);
});

test("lines end by LF, CR or both, wherever pieces are cut", () => {
  for (const text of [
    "event: a\ndata: 1\ndata: 2\n\ndata: 3\n\n",
    "event: a\rdata: 1\rdata: 2\r\rdata: 3\r\r",
    "event: a\r\ndata: 1\r\ndata: 2\r\n\r\ndata: 3\r\n\r\n",
  ]) {
    const whole = read(text);
    expect(whole.map(({ type, data }) => [type, data])).toEqual([
      ["a", "1\n2"],
      ["message", "3"],
    ]);
    for (let cut = 1; cut < text.length; cut += 1) {
      expect(read(text.slice(0, cut), text.slice(cut)), `cut at ${cut}`).toEqual(whole);
    }
    expect(read(...text)).toEqual(whole);
  }
});

test("comments, unknown fields and events without data are passed over", () => {
  expect(read(": keep alive\n\nfoo: bar\nevent: none\n\nid: 7-0\n\ndata\n\n")).toEqual([
    { type: "message", data: "", id: "7-0" },
  ]);
});

test("one blank behind the colon is not part of the value, more are", () => {
  expect(read("data:a\ndata: b\ndata:  c:d\n\n")[0]?.data).toBe("a\nb\n c:d");
});

test("a byte order mark is passed over at the very beginning alone", () => {
  expect(read("\uFEFFdata: a\n\n\uFEFFdata: b\n\n").map(({ data }) => data)).toEqual(["a"]);
});

test("an id with a NUL is none, and an empty one forgets", () => {
  expect(
    read("id: 1-0\ndata: a\n\nid: x\0\ndata: b\n\nid\ndata: c\n\n").map(({ id }) => id),
  ).toEqual(["1-0", "1-0", ""]);
});

test("the server says when to come back, in digits", () => {
  const parser = new EventParser();
  parser.push("retry: soon\n");
  expect(parser.retryMs).toBeNull();
  parser.push("retry: 3314\nretry: -1\n\n");
  expect(parser.retryMs).toBe(3314);
});

test("what is not whole when the connection ends is no event", () => {
  expect(read("id: 1-0\ndata: a\n\nid: 2-0\ndata: half")).toEqual([
    { type: "message", data: "a", id: "1-0" },
  ]);
});

test("an event that grows beyond its bound ends the connection, in one line or in many", () => {
  const one = new EventParser("", 100);
  expect(() => {
    for (let n = 0; n < 20; n += 1) one.push("data: 0123456789");
  }).toThrow(TooLargeError);
  const many = new EventParser("", 100);
  expect(() => {
    for (let n = 0; n < 20; n += 1) many.push("data: 0123456789\n");
  }).toThrow(TooLargeError);
});

test("many small events are no large one", () => {
  const parser = new EventParser("", 100);
  let count = 0;
  for (let n = 0; n < 50; n += 1) count += parser.push("data: 0123456789\n\n").length;
  expect(count).toBe(50);
});

test("all rows of five thousand nodes are read in a moment", () => {
  const data = JSON.stringify(
    Array.from({ length: 5000 }, (_, id) => ({ id, text: "x".repeat(380) })),
  );
  const text = `event: snapshot\ndata: ${data}\n\n`;
  const parser = new EventParser();
  const events = [];
  for (let at = 0; at < text.length; at += 16_384)
    events.push(...parser.push(text.slice(at, at + 16_384)));
  expect(events[0]?.data).toHaveLength(data.length);
});
