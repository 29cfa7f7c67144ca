import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Device } from "../../src/access/device";
import type { Pending } from "../../src/access/enrolment";
import { SEEN_MS } from "../../src/access/seen";
import { apply } from "../../src/fleet/store";
import { summary } from "../fleet/make";

const DEVICE = {
  user_code: "BCDF-GHJK",
  state: "pending",
  hostname: "gpu-3",
  node_id: "gpu-3",
  force_new: false,
} as Pending;

const root = document.createElement("div");
document.body.append(root);
const decided = vi.fn();
const approve = () => root.querySelector<HTMLButtonElement>("[data-testid=enrol-approve]");
const pass = (ms: number) => act(() => void vi.advanceTimersByTime(ms));

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(document, "hasFocus").mockReturnValue(true);
  decided.mockClear();
  apply([{ kind: "snapshot", rows: [] }]);
  act(() => render(<Device device={DEVICE} busy={false} error="" onDecide={decided} />, root));
});

afterEach(() => {
  act(() => render(null, root));
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("no click that was begun elsewhere lets a device in: it has to be seen for a while", () => {
  approve()?.click();
  expect(decided).not.toHaveBeenCalled();
  pass(SEEN_MS);
  // A window above was closed by the first half of a double click, and here comes the second.
  act(() => void dispatchEvent(new Event("focus")));
  approve()?.click();
  expect(decided).not.toHaveBeenCalled();
  pass(SEEN_MS);
  approve()?.click();
  expect(decided).toHaveBeenCalledWith("approve", "gpu-3");
});

test("behind another window nothing is let in, however long it stands there", () => {
  vi.spyOn(document, "hasFocus").mockReturnValue(false);
  act(() => void dispatchEvent(new Event("blur")));
  pass(60_000);
  expect(approve()?.disabled).toBe(true);
});

test("that there is a node of this id is said once the list tells of it", () => {
  expect(root.querySelector(".access-warn")).toBeNull();
  act(() => apply([{ kind: "snapshot", rows: [summary("gpu-3")] }]));
  expect(root.querySelector(".access-warn")?.textContent).toContain("gpu-3");
});
