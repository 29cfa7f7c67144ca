import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, expect, test } from "vitest";
import type { OpenNode } from "../../src/drawer/node";
import { Parting } from "../../src/drawer/parting";
import { row } from "../fleet/make";

const root = document.createElement("div");
document.body.append(root);
const field = () => root.querySelector("input") as HTMLInputElement;
const button = () => root.querySelector("button") as HTMLButtonElement;
const show = (name: string) => {
  const node = { id: "gpu-1", row: { value: row("gpu-1", { profile: { name } }) } };
  act(() => render(<Parting node={node as unknown as OpenNode} />, root));
};
const type = (text: string) =>
  act(() => {
    field().value = text;
    field().dispatchEvent(new Event("input", { bubbles: true }));
  });

afterEach(() => act(() => render(null, root)));

test("a node whose name nobody can see is not given up by typing nothing", () => {
  for (const name of ["", " ", "\u200b\u202e", "\t\n"]) {
    show(name);
    expect(button().disabled).toBe(true);
    type("gpu-1");
    expect(button().disabled).toBe(false);
    type("");
  }
});

test("a name is typed as it is read", () => {
  show("rack  7\u00a0\u2066left");
  type("rack 7 left");
  expect(button().disabled).toBe(false);
  type("rack 7");
  expect(button().disabled).toBe(true);
});
