import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ageText } from "../../src/parts/age";
import { StateBadge, toneOf } from "../../src/parts/badge";
import { Dialog } from "../../src/parts/dialog";
import { Meter } from "../../src/parts/meter";
import { cut, Said } from "../../src/parts/said";
import { waitText } from "../../src/parts/spinner";

let root: HTMLElement;

beforeEach(() => {
  root = document.createElement("div");
  document.body.append(root);
});

afterEach(() => {
  render(null, root);
  root.remove();
});

test("a text is cut with its mark inside the limit, and never within a pair of halves", () => {
  expect(cut("gpu-7", 5)).toBe("gpu-7");
  expect(cut("gpu-77", 5)).toBe("gpu-…");
  expect(cut("ab😀cd", 4)).toBe("ab…");
});

test("what a node says is text, isolated, and whole in the tooltip", () => {
  const hostile = `<img src=x onerror=alert(1)>\u202e${"x".repeat(5000)}`;
  render(<Said text={hostile} max={20} />, root);
  const said = root.querySelector("bdi.said");
  expect(root.querySelector("img")).toBeNull();
  expect(said?.textContent).toBe(cut(hostile, 20));
  expect(said?.getAttribute("title")?.length).toBeLessThanOrEqual(1024);
});

test("a state that nobody has heard of looks as Unknown does, under its own name", () => {
  expect(toneOf("Hibernating")).toBe(toneOf("Unknown"));
  render(<StateBadge state="Hibernating" />, root);
  expect(root.textContent).toBe("Hibernating");
});

test("a meter of which nobody knows has no value, and says so", () => {
  render(<Meter value={null} label="Memory" text="unknown" />, root);
  expect(root.querySelector("meter")).toBeNull();
  expect(root.querySelector(".unseen")?.textContent).toBe("Memory: unknown");
});

test("a meter never leaves its bar", () => {
  render(<Meter value={1.7} label="Memory" text="170 %" />, root);
  expect(root.querySelector<HTMLElement>(".meter-full")?.style.width).toBe("100%");
  expect(root.querySelector("meter")?.getAttribute("aria-valuetext")).toBe("170 %");
});

test("an age is unknown as long as nobody knows the time, and never of what never was", () => {
  expect(ageText(1000, 0)).toBe("unknown");
  expect(ageText(null, 5000)).toBe("never");
  expect(ageText(1000, 13_000)).toBe("12 s ago");
  expect(ageText(20_000, 13_000)).toBe("0 s ago");
});

test("a wait says its deadline, and past it that no answer came", () => {
  expect(waitText(1.23, 5)).toBe("1.2 s of 5 s");
  expect(waitText(6, 5)).toBe("no answer for 6.0 s");
});

test("a dialog gives the focus back to what had it", async () => {
  const button = document.createElement("button");
  document.body.append(button);
  button.focus();
  const close = vi.fn();
  await act(() => render(<Dialog title="T" onClose={close} testid="d" />, root));
  expect(document.querySelector("dialog")?.open).toBe(true);
  document.querySelector<HTMLElement>("[data-testid=d-close]")?.click();
  expect(close).toHaveBeenCalledOnce();
  await act(() => render(null, root));
  expect(document.activeElement).toBe(button);
  button.remove();
});

test("a drawer that went on to another node gives the focus to that node's row", async () => {
  const [first, second] = ["a", "b"].map((id) => {
    const row = document.createElement("div");
    row.tabIndex = -1;
    row.dataset.node = id;
    document.body.append(row);
    return row;
  });
  first?.focus();
  const dialog = (id: string) => <Dialog key={id} title="T" onClose={() => {}} node={id} />;
  await act(() => render(dialog("a"), root));
  await act(() => render(dialog("b"), root));
  await act(() => render(null, root));
  expect(document.activeElement).toBe(second);
  first?.remove();
  second?.remove();
});

test("a drawer of a node that the list does not show gives the focus back to what had it", async () => {
  const button = document.createElement("button");
  document.body.append(button);
  button.focus();
  await act(() => render(<Dialog title="T" onClose={() => {}} node="gone" />, root));
  await act(() => render(null, root));
  expect(document.activeElement).toBe(button);
  button.remove();
});
